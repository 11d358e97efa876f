#include "load/http_response.hpp"

#include <algorithm>
#include <charconv>
#include <optional>

namespace load {
namespace {

constexpr std::size_t header_bytes_max = 64 << 10;
constexpr std::size_t body_bytes_max = 16 << 20;

bool equals_ignoring_case(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
  return std::ranges::equal(a, b, [&](char x, char y) { return lower(x) == lower(y); });
}

std::string_view trim(std::string_view s) {
  while (!s.empty() && (s.front() == ' ' || s.front() == '\t')) s.remove_prefix(1);
  while (!s.empty() && (s.back() == ' ' || s.back() == '\t')) s.remove_suffix(1);
  return s;
}

std::optional<std::size_t> number(std::string_view digits, int base) {
  std::size_t value = 0;
  const auto end = digits.data() + digits.size();
  const auto [ptr, ec] = std::from_chars(digits.data(), end, value, base);
  if (digits.empty() || ec != std::errc{} || ptr != end || value > body_bytes_max) return {};
  return value;
}

// `at` moves from the body's first byte past the last chunk and its trailers.
Reading read_chunks(std::string_view bytes, std::size_t& at) {
  while (true) {
    const auto eol = bytes.find("\r\n", at);
    if (eol == std::string_view::npos) return bytes.size() - at > 1024 ? Reading::bad : Reading::incomplete;
    const auto line = bytes.substr(at, eol - at);
    const auto size = number(trim(line.substr(0, line.find(';'))), 16);
    if (!size || at > body_bytes_max) return Reading::bad;
    at = eol + 2;
    if (*size == 0) break;
    if (bytes.size() < at + *size + 2) return Reading::incomplete;
    if (bytes.substr(at + *size, 2) != "\r\n") return Reading::bad;
    at += *size + 2;
  }
  while (true) {
    const auto eol = bytes.find("\r\n", at);
    if (eol == std::string_view::npos) return bytes.size() - at > header_bytes_max ? Reading::bad : Reading::incomplete;
    const bool last = eol == at;
    at = eol + 2;
    if (last) return Reading::complete;
  }
}

}  // namespace

Reading read_response(std::string_view bytes, HttpResponse& response, std::size_t& used) {
  const auto end = bytes.find("\r\n\r\n");
  if (end == std::string_view::npos) return bytes.size() > header_bytes_max ? Reading::bad : Reading::incomplete;
  auto head = bytes.substr(0, end + 2);
  const auto take_line = [&head] {
    const auto eol = head.find("\r\n");
    const auto line = head.substr(0, eol);
    head.remove_prefix(eol + 2);
    return line;
  };

  const auto status_line = take_line();
  if (!status_line.starts_with("HTTP/1.") || status_line.size() < 12 || status_line[8] != ' ') return Reading::bad;
  const auto status = number(status_line.substr(9, 3), 10);
  if (!status || *status < 100 || *status > 599) return Reading::bad;
  response = {static_cast<int>(*status), status_line[7] == '1'};

  std::optional<std::size_t> length;
  bool chunked = false;
  while (!head.empty()) {
    const auto line = take_line();
    const auto colon = line.find(':');
    if (colon == std::string_view::npos) return Reading::bad;
    const auto name = line.substr(0, colon);
    const auto value = trim(line.substr(colon + 1));
    if (equals_ignoring_case(name, "content-length")) {
      const auto n = number(value, 10);
      if (!n || length) return Reading::bad;
      length = n;
    } else if (equals_ignoring_case(name, "transfer-encoding")) {
      if (!equals_ignoring_case(value, "chunked")) return Reading::bad;
      chunked = true;
    } else if (equals_ignoring_case(name, "connection")) {
      if (equals_ignoring_case(value, "close")) response.keep_alive = false;
      if (equals_ignoring_case(value, "keep-alive")) response.keep_alive = true;
    }
  }
  used = end + 4;
  if (response.status < 200 || response.status == 204 || response.status == 304) return Reading::complete;
  if (chunked == length.has_value()) return Reading::bad;
  if (chunked) return read_chunks(bytes, used);
  if (bytes.size() - used < *length) return Reading::incomplete;
  used += *length;
  return Reading::complete;
}

}  // namespace load
