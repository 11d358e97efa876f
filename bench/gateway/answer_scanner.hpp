// Where an answer ends, for the loader: status line, Content-Length, that many bytes. Every proxy measured passes the
// backend's Content-Length on; an answer framed otherwise is called malformed, not guessed at.
#pragma once

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace foreshadow::bench {

class AnswerScanner {
 public:
  enum class Found { more, complete, malformed };

  // Takes bytes as they come; `complete` at an answer's last byte, and nothing may follow it: one request is under way
  // at a time.
  Found feed(std::string_view bytes) {
    if (!body_left_) {
      head_.append(bytes);
      const auto end = head_.find("\r\n\r\n");
      if (end == head_.npos) return head_.size() > kHeadMax ? Found::malformed : Found::more;
      if (!read_head(std::string_view(head_).substr(0, end + 2))) return Found::malformed;
      bytes.remove_prefix(bytes.size() - (head_.size() - end - 4));
    }
    if (bytes.size() > *body_left_) return Found::malformed;
    *body_left_ -= bytes.size();
    return *body_left_ == 0 ? Found::complete : Found::more;
  }

  int status() const { return status_; }
  // Did the answer say that the connection ends with it?
  bool closes() const { return closes_; }

  void reset() {
    head_.clear();
    body_left_.reset();
    status_ = 0;
    closes_ = false;
  }

 private:
  static constexpr std::size_t kHeadMax = 64 << 10;

  static bool same_name(std::string_view line, std::string_view lower) {
    if (line.size() <= lower.size() || line[lower.size()] != ':') return false;
    for (std::size_t i = 0; i < lower.size(); ++i)
      if ((line[i] | 0x20) != lower[i]) return false;
    return true;
  }

  static std::string_view after_colon(std::string_view line, std::string_view name) {
    line.remove_prefix(name.size() + 1);
    line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
    return line;
  }

  // `head` is lines, each with its CRLF.
  bool read_head(std::string_view head) {
    if (!head.starts_with("HTTP/1.1 ") || head.size() < 12) return false;
    std::from_chars(head.data() + 9, head.data() + 12, status_);
    constexpr std::string_view kLength = "content-length", kConnection = "connection";
    for (auto at = head.find('\n') + 1; at < head.size(); at = head.find('\n', at) + 1) {
      const auto line = head.substr(at);
      if (same_name(line, kConnection)) {
        // Proxies say this alone, or not at all.
        const auto value = after_colon(line, kConnection);
        closes_ = value.starts_with("close\r") || value.starts_with("Close\r");
      }
      if (!same_name(line, kLength)) continue;
      const auto value = after_colon(line, kLength);
      std::size_t length = 0;
      if (std::from_chars(value.data(), value.data() + value.size(), length).ec != std::errc{}) return false;
      body_left_ = length;
    }
    return body_left_.has_value();
  }

  std::string head_;
  std::optional<std::size_t> body_left_;
  int status_ = 0;
  bool closes_ = false;
};

}  // namespace foreshadow::bench
