#include "io/http_answer.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>

namespace foreshadow::io {
namespace {

constexpr std::size_t kLineMax = 4096;  // a chunk-size or trailer line

bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool same_name(std::string_view a, std::string_view lower) {
  return std::ranges::equal(a, lower, [](char x, char y) { return std::tolower(static_cast<unsigned char>(x)) == y; });
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

Result<std::size_t> parse_size(std::string_view text, int base) {
  std::size_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc{} || end != text.data() + text.size() || text.empty())
    return fail(Code::invalid, "bad length in the HTTP answer");
  return value;
}

// "HTTP/1.1 200 OK": RFC 9112 section 4; the reason may be missing with its space.
Result<int> parse_status(std::string_view line) {
  const bool ok = line.size() >= 12 && line.starts_with("HTTP/1.") && is_digit(line[7]) && line[8] == ' ' &&
                  is_digit(line[9]) && is_digit(line[10]) && is_digit(line[11]) &&
                  (line.size() == 12 || line[12] == ' ');
  const int status = ok ? (line[9] - '0') * 100 + (line[10] - '0') * 10 + (line[11] - '0') : 0;
  if (status < 100 || status > 599) return fail(Code::invalid, "not an HTTP/1.1 status line");
  return status;
}

}  // namespace

Result<bool> HttpAnswerParser::take(std::string_view bytes) {
  if (!bytes.empty()) began_ = true;
  pending_.append(bytes);
  for (;;) {
    FS_TRY(moved, advance());
    if (step_ == Step::done) return true;
    if (!moved) return false;
  }
}

// One step; false: it needs more bytes.
Result<bool> HttpAnswerParser::advance() {
  switch (step_) {
    case Step::head:
      return read_head();
    case Step::fixed:
      if (keep(left_) && left_ == 0) step_ = Step::done;
      return step_ == Step::done;
    case Step::to_close:
      keep(pending_.size());
      return false;
    case Step::chunk_size:
      return read_chunk_size();
    case Step::chunk:
      if (!keep(left_) || left_ > 0) return step_ == Step::done;
      step_ = Step::chunk_end;
      return true;
    case Step::chunk_end:
      if (pending_.size() < 2) return false;
      if (!pending_.starts_with("\r\n")) return fail(Code::invalid, "a chunk does not end where it said");
      pending_.erase(0, 2);
      step_ = Step::chunk_size;
      return true;
    case Step::trailer: {
      const auto end = pending_.find("\r\n");
      if (end == std::string::npos ? pending_.size() > kLineMax : (trailer_bytes_ += end + 2) > head_max)
        return fail(Code::invalid, "trailers too long");
      if (end == std::string::npos) return false;
      if (end == 0) step_ = Step::done;
      pending_.erase(0, end + 2);
      return true;
    }
    case Step::done:
      return false;
  }
  return false;
}

// Moves up to `count` pending bytes to the body. Past the cap the answer counts as complete.
bool HttpAnswerParser::keep(std::size_t count) {
  const auto n = std::min(count, pending_.size());
  const auto room = body_max - body_.size();
  body_.append(pending_, 0, std::min(n, room));
  pending_.erase(0, n);
  if (step_ != Step::to_close) left_ -= n;
  if (n > room || body_.size() == body_max) {
    step_ = Step::done;
    return false;
  }
  return true;
}

Result<bool> HttpAnswerParser::read_head() {
  const auto end = pending_.find("\r\n\r\n");
  if (end == std::string::npos ? pending_.size() > head_max : end > head_max)
    return fail(Code::invalid, "HTTP headers longer than " + std::to_string(head_max) + " bytes");
  const std::string_view so_far(pending_);
  if (const auto expected = std::string_view("HTTP/1.").substr(0, so_far.size()); !so_far.starts_with(expected))
    return fail(Code::invalid, "not an HTTP/1.1 answer");
  if (end == std::string::npos) return false;
  std::string_view head = so_far.substr(0, end);
  const auto line_end = head.find("\r\n");
  FS_TRY(status, parse_status(head.substr(0, line_end)));
  chunked_ = has_length_ = false;
  while (!head.empty() && head.find("\r\n") != std::string_view::npos) {
    head.remove_prefix(head.find("\r\n") + 2);
    FS_CHECK(read_header(head.substr(0, head.find("\r\n"))));
  }
  pending_.erase(0, end + 4);
  if (status < 200) {
    if (status == 101) return fail(Code::invalid, "the server switched protocols unasked");
    if (++interim_ > interim_max) return fail(Code::invalid, "too many interim answers");
    return true;
  }
  status_ = status;
  // RFC 9112 section 6.3: no body, then chunked, then a length, then to the close.
  if (status == 204 || status == 304 || (has_length_ && left_ == 0 && !chunked_))
    step_ = Step::done;
  else if (chunked_)
    step_ = Step::chunk_size;
  else
    step_ = has_length_ ? Step::fixed : Step::to_close;
  return true;
}

Result<void> HttpAnswerParser::read_header(std::string_view line) {
  const auto colon = line.find(':');
  if (colon == std::string_view::npos || colon == 0 || line.find_first_of(" \t") < colon)
    return fail(Code::invalid, "a malformed HTTP header");
  const auto name = line.substr(0, colon), value = trimmed(line.substr(colon + 1));
  if (same_name(name, "content-length")) {
    if (value.empty() || !std::ranges::all_of(value, is_digit)) return fail(Code::invalid, "bad Content-Length");
    FS_TRY(length, parse_size(value, 10));
    if (has_length_ && length != left_) return fail(Code::invalid, "two different Content-Lengths");
    has_length_ = true;
    left_ = length;
  } else if (same_name(name, "transfer-encoding")) {
    if (!same_name(value, "chunked") || chunked_) return fail(Code::invalid, "unknown Transfer-Encoding");
    chunked_ = true;
  }
  return {};
}

Result<bool> HttpAnswerParser::read_chunk_size() {
  const auto end = pending_.find("\r\n");
  if (end == std::string::npos ? pending_.size() > kLineMax : end > kLineMax)
    return fail(Code::invalid, "a chunk-size line is too long");
  if (end == std::string::npos) return false;
  std::string_view line = std::string_view(pending_).substr(0, end);
  line = trimmed(line.substr(0, line.find(';')));
  FS_TRY(size, parse_size(line, 16));
  pending_.erase(0, end + 2);
  left_ = size;
  step_ = size == 0 ? Step::trailer : Step::chunk;
  return true;
}

Result<void> HttpAnswerParser::end() {
  if (step_ == Step::to_close) {
    step_ = Step::done;
    return {};
  }
  if (step_ == Step::done) return {};
  return fail(Code::invalid, "the connection was closed in the middle of the HTTP answer");
}

}  // namespace foreshadow::io
