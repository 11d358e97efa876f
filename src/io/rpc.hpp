// How our processes and the command line talk on one host: a Unix stream socket, one JSON object a line each way.
// Request {"verb": ..., ...}; answer {"ok": true, "value": ...} or {"ok": false, "error": {"code", "what"}}.
// Lines are capped (4 MiB); the socket file is 0600 and its owner is the access control.
#pragma once

#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <stop_token>
#include <string>

#include "base/result.hpp"
#include "base/time.hpp"

namespace foreshadow::io {

// One call on a fresh connection; blocks. Errors: unreachable (nobody listens), timeout (sent, so it may have
// happened), cancelled, or the error the other side answered.
Result<nlohmann::json> rpc_call(const std::string& socket_path, const nlohmann::json& request, Millis timeout,
                                std::stop_token stop = {});

// Serves on threads of its own, at most `connections_max` at once (more are told so and closed). The handler may be
// called from several threads at the same time.
class RpcServer {
 public:
  using Handler = std::function<Result<nlohmann::json>(const nlohmann::json& request)>;
  // Removes a stale socket file that nobody listens on; conflict if somebody does.
  static Result<std::unique_ptr<RpcServer>> listen(const std::string& socket_path, Handler handler,
                                                   int connections_max = 32);
  virtual ~RpcServer() = default;  // stops accepting, ends open connections, joins
};

}  // namespace foreshadow::io
