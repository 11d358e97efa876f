// Reads HTTP/1.1 responses (RFC 9112) as a strict client must: framed by Content-Length or chunked coding, never by
// guess. Pure bytes in, values out.
#pragma once

#include <cstddef>
#include <string_view>

namespace load {

enum class Reading { complete, incomplete, bad };

struct HttpResponse {
  int status = 0;
  bool keep_alive = true;
};

// Reads one response to a request that was not HEAD from the front of `bytes`; on `complete`, `used` is what it took.
Reading read_response(std::string_view bytes, HttpResponse& response, std::size_t& used);

}  // namespace load
