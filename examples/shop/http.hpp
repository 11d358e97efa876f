// Just enough HTTP/1.1 for a small service behind a proxy (RFC 9112): requests with an optional Content-Length body,
// kept alive. Strict: what it does not know how to frame it refuses, and never guesses where a request ends. Pure bytes
// in, values out; no sockets here.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace shop {

struct Request {
  std::string method;
  std::string path;  // target up to '?'
  std::string body;
  bool keep_alive = true;
  bool mirrored = false;  // carries `Foreshadow-Mirror: 1`
};

enum class Parse { complete, incomplete, bad };

inline constexpr std::size_t header_bytes_max = 16 << 10;
inline constexpr std::size_t body_bytes_max = 64 << 10;

// Reads one request from the front of `bytes`. On `complete`, `used` is how many bytes it took; on `bad` the connection
// cannot go on, since its framing is lost.
Parse parse_request(std::string_view bytes, Request& request, std::size_t& used);

struct Response {
  int status = 200;
  std::string body;  // JSON
};

std::string serialise(const Response& response, bool keep_alive, bool head);

}  // namespace shop
