#include "shop/http.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>

namespace shop {
namespace {

bool equals_ignoring_case(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
  return std::ranges::equal(a, b, [&](char x, char y) { return lower(x) == lower(y); });
}

std::string_view trim(std::string_view s) {
  while (!s.empty() && (s.front() == ' ' || s.front() == '\t')) s.remove_prefix(1);
  while (!s.empty() && (s.back() == ' ' || s.back() == '\t')) s.remove_suffix(1);
  return s;
}

// RFC 9110, 5.6.2.
bool is_token(std::string_view s) {
  constexpr std::string_view others = "!#$%&'*+-.^_`|~";
  return !s.empty() && std::ranges::all_of(s, [&](char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || others.contains(c);
  });
}

bool parse_request_line(std::string_view line, Request& request) {
  const auto first = line.find(' ');
  const auto last = line.rfind(' ');
  if (first == std::string_view::npos || last == first) return false;
  const auto version = line.substr(last + 1);
  const auto target = line.substr(first + 1, last - first - 1);
  if (version != "HTTP/1.1" && version != "HTTP/1.0") return false;
  if (!is_token(line.substr(0, first)) || !target.starts_with('/')) return false;
  if (!std::ranges::all_of(target, [](char c) { return c > ' ' && c < 0x7f; })) return false;
  request.method = line.substr(0, first);
  request.path = target.substr(0, target.find('?'));
  request.keep_alive = version == "HTTP/1.1";
  return true;
}

std::string_view reason_of(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 400:
      return "Bad Request";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 503:
      return "Service Unavailable";
    default:
      return "Status";
  }
}

}  // namespace

Parse parse_request(std::string_view bytes, Request& request, std::size_t& used) {
  const auto end = bytes.find("\r\n\r\n");
  if (end == std::string_view::npos) return bytes.size() > header_bytes_max ? Parse::bad : Parse::incomplete;
  if (end > header_bytes_max) return Parse::bad;
  auto head = bytes.substr(0, end + 2);

  const auto take_line = [&head] {
    const auto eol = head.find("\r\n");
    const auto line = head.substr(0, eol);
    head.remove_prefix(eol + 2);
    return line;
  };

  request = {};
  if (!parse_request_line(take_line(), request)) return Parse::bad;
  std::optional<std::size_t> length;
  while (!head.empty()) {
    const auto line = take_line();
    const auto colon = line.find(':');
    if (colon == std::string_view::npos || !is_token(line.substr(0, colon))) return Parse::bad;
    const auto name = line.substr(0, colon);
    const auto value = trim(line.substr(colon + 1));
    if (equals_ignoring_case(name, "content-length")) {
      std::size_t n = 0;
      const auto [ptr, ec] = std::from_chars(value.data(), value.data() + value.size(), n);
      if (ec != std::errc{} || ptr != value.data() + value.size() || n > body_bytes_max || length) return Parse::bad;
      length = n;
    } else if (equals_ignoring_case(name, "transfer-encoding")) {
      return Parse::bad;
    } else if (equals_ignoring_case(name, "connection")) {
      if (equals_ignoring_case(value, "close")) request.keep_alive = false;
      if (equals_ignoring_case(value, "keep-alive")) request.keep_alive = true;
    } else if (equals_ignoring_case(name, "foreshadow-mirror")) {
      request.mirrored = value == "1";
    }
  }
  const auto body_at = end + 4;
  const auto body_bytes = length.value_or(0);
  if (bytes.size() - body_at < body_bytes) return Parse::incomplete;
  request.body = bytes.substr(body_at, body_bytes);
  used = body_at + body_bytes;
  return Parse::complete;
}

std::string serialise(const Response& response, bool keep_alive, bool head) {
  return fmt::format("HTTP/1.1 {} {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n{}\r\n{}",
                     response.status, reason_of(response.status), response.body.size(),
                     keep_alive ? "" : "Connection: close\r\n",
                     head ? std::string_view{} : std::string_view{response.body});
}

}  // namespace shop
