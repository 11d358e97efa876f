// One HTTP/1.1 GET over a fresh connection, for probes: a persistent connection would not notice a stopped listener.
#pragma once

#include <stop_token>
#include <string>

#include "base/result.hpp"
#include "base/time.hpp"

namespace foreshadow::io {

struct HttpAnswer {
  int status = 0;
  std::string body;  // at most 64 KiB is kept
  Millis took{0};
};

// Blocks. Errors: unreachable (refused, no route), timeout, invalid (not HTTP), cancelled.
Result<HttpAnswer> http_get(const std::string& host, unsigned short port, const std::string& target, Millis timeout,
                            std::stop_token stop = {});

}  // namespace foreshadow::io
