// One HTTP/1.1 GET over a fresh connection, for probes: a persistent connection would not notice a stopped listener.
#pragma once

#include <memory>
#include <stop_token>
#include <string>

#include "base/result.hpp"
#include "base/time.hpp"

namespace foreshadow::io {

class TlsClient;

// Over TLS, the server being asked for as `server_name`. `client` null: plain.
struct HttpTls {
  std::shared_ptr<TlsClient> client;
  std::string server_name;
};

struct HttpAnswer {
  int status = 0;
  std::string body;  // at most 64 KiB is kept
  Millis took{0};
};

// Blocks. Errors: unreachable (refused, no route), timeout, invalid (not HTTP), cancelled; refused (the TLS handshake
// failed: a certificate that is not trusted, or the like).
Result<HttpAnswer> http_get(const std::string& host, unsigned short port, const std::string& target, Millis timeout,
                            std::stop_token stop = {}, const HttpTls& tls = {});

}  // namespace foreshadow::io
