// The data plane of one process: listeners, sessions, gates, and the control socket. One thread serves clients, or
// several that share nothing (planes.hpp) and are one gateway to whoever gives orders; it knows nothing of risk, takes
// its orders only through the control socket, and serves on with its last tables when nobody gives any.
//
// Killed at any moment it is back in the state it was in (tables and seals are on disk before they are acknowledged;
// a hold ends with the process that granted its lease) under a new incarnation.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "proxy/protocol.hpp"
#include "proxy/settings.hpp"
#include "proxy/threads.hpp"

namespace foreshadow::proxy {

struct GatewaySettings {
  std::string name;       // "edge": names the control socket and the state file
  std::string state_dir;  // created if it is not there
  std::vector<ListenerSettings> listeners;
  int threads = 1;  // that serve clients, 1 to kThreadsMax
  // At shutdown sessions may finish their work for this long; then they are cut.
  Millis drain_timeout{5000};
  // Take the listening sockets of the process that runs under this name, which then finishes its sessions. Where none
  // runs it is a start like any other.
  bool take_over = false;
  // The highest epoch that anybody else knows for a resource: a controller, another gateway in its path. Asked once per
  // resource at the start, before the first client; where it is above what the state file says, nothing is served
  // before the table of that epoch comes. May block for a moment; 0 where nobody knows.
  std::function<std::uint64_t(const ResourceId&)> epoch_elsewhere;
  // How long sessions may go on after another process has taken over.
  Millis retire_timeout{60'000};
};

// What a kind brings. Called once per listener, before the first client.
using ProtocolFactory =
    std::function<Result<std::unique_ptr<Protocol>>(const ListenerSettings&, boost::asio::any_io_executor)>;

class Gateway {
 public:
  // Listens and serves when it returns. Errors: conflict (another gateway of this name runs), corrupt (state file),
  // io (cannot listen), invalid (settings).
  static Result<std::unique_ptr<Gateway>> start(GatewaySettings settings, const ProtocolFactory& protocols);
  // For a process that is a gateway: raises its limit of open files, start(), wait(), then shuts down cleanly.
  static Result<void> run(GatewaySettings settings, const ProtocolFactory& protocols, std::stop_token stop);

  // Stops accepting, lets work in flight finish within drain_timeout, ends the rest.
  virtual ~Gateway() = default;

  // Until `stop` is requested, or another process has taken over and the last session has ended or its time is up.
  virtual void wait(std::stop_token stop) = 0;
  virtual const std::string& incarnation() const = 0;
  // Where it really listens: a configured port 0 is any free one. Port 0 for an unknown resource.
  virtual Endpoint endpoint(const ResourceId& resource) const = 0;
};

// <state_dir>/gateway-<name>.sock, .json and .lock
std::string gateway_socket_path(const std::string& state_dir, const std::string& name);
std::string gateway_state_path(const std::string& state_dir, const std::string& name);
std::string gateway_lock_path(const std::string& state_dir, const std::string& name);

}  // namespace foreshadow::proxy
