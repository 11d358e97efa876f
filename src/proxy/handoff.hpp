// How a gateway process takes over from the one before it without refusing or resetting a connection. Over
// <state_dir>/gateway-<name>.handoff, a Unix socket:
//
//   new: take_over                     old: listeners ["shop", ...] and their sockets (SCM_RIGHTS)
//   new: ready                         old: yours; it accepts no more, takes no command, and has let go of the state file
//   then the old one finishes its sessions, or cuts that short when told: hurry. The connection ends with its process.
//
// The listening sockets are never closed: what arrives meanwhile waits in their queues. Until "yours" every failure
// leaves the old process serving as before.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/result.hpp"
#include "domain/resource.hpp"
#include "io/fd.hpp"

namespace foreshadow::proxy {

std::string handoff_socket_path(const std::string& state_dir, const std::string& name);

struct Handed {
  ResourceId resource;
  int listener = -1;  // still owned by who hands it over
};

// The old side: waits for a successor, on a thread of its own.
class HandoffServer {
 public:
  // `offer`: the listening sockets. `give_up`: called once, when the successor is ready; from its success on this process
  // only finishes. Its error is told to the successor, and everything stays as it was.
  struct Hooks {
    std::function<std::vector<Handed>()> offer;
    std::function<Result<void>()> give_up;
    // The successor needs everything ended: a handover waits.
    std::function<void()> hurry;
  };
  static Result<std::unique_ptr<HandoffServer>> listen(const std::string& path, Hooks hooks);
  ~HandoffServer();
  // No handover from now on. One that has happened stays visible to the successor until destruction.
  void stop();

 private:
  HandoffServer(std::string path, io::Fd listener, Hooks hooks);
  void serve(const std::stop_token& stop);
  // True: handed over, and the connection must stay open until the process ends.
  bool hand_over(int socket, const std::stop_token& stop);

  std::string path_;
  io::Fd listener_;
  Hooks hooks_;
  io::Fd successor_;
  bool handed_over_ = false;
  std::jthread thread_;
};

// The new side.
class Predecessor {
 public:
  // Nothing: nobody serves under this name. Errors: timeout, invalid (not our protocol).
  static Result<std::unique_ptr<Predecessor>> find(const std::string& path);
  // Once; an empty Fd: the old process does not listen for this resource.
  io::Fd take(const ResourceId& resource);
  // Errors: refused (a handover is under way there), unreachable (it died: start as after a crash), timeout.
  Result<void> ready();
  // It still finishes sessions. Thread-safe.
  bool alive() const;
  // Asks it to end them now; told once, however often called. Thread-safe.
  void hurry();

 private:
  explicit Predecessor(io::Fd socket) : socket_(std::move(socket)) {}
  io::Fd socket_;
  std::atomic<bool> hurried_{false};
  std::vector<std::pair<ResourceId, io::Fd>> listeners_;
};

}  // namespace foreshadow::proxy
