// The threads of a gateway that serve clients, each with everything that it touches: a loop of its own, and of every
// resource a gate, a protocol and its clients. Nothing that changes is shared between two of them but the counts of
// clients (crowd.hpp) and what a kind has made for that (Protocol::another). The first one accepts for all.
//
// Called on one control thread at a time; nothing here may be called on a plane's own thread.
#pragma once

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/random.hpp"
#include "io/fd.hpp"
#include "proxy/commands.hpp"
#include "proxy/crowd.hpp"
#include "proxy/gate_impl.hpp"
#include "proxy/gateway.hpp"
#include "proxy/hall.hpp"
#include "proxy/handoff.hpp"
#include "proxy/listener.hpp"

namespace foreshadow::proxy {

class Planes {
 public:
  // `seed`: for what the gates draw.
  Planes(std::size_t threads, std::uint64_t seed);
  // Sessions must have ended, as far as they will: see leak().
  ~Planes();
  Planes(const Planes&) = delete;
  Planes& operator=(const Planes&) = delete;

  // Before start(), for each resource in order. First everything that may fail because of the settings,
  Result<void> prepare(const ListenerSettings& settings, const ProtocolFactory& protocols);
  // then its gates, and its clients' way in. `settings` outlive us.
  void add(const ListenerSettings& settings, io::Fd socket, const std::optional<GateState>& booted);
  void start();

  Commands::Gates gates();
  boost::asio::ip::tcp::endpoint endpoint(std::size_t nth) const { return listeners_[nth]->endpoint(); }

  // While they run:
  std::vector<Handed> offer();
  // Clients, and those on their way from one thread to another.
  std::size_t sessions() const;
  void stop_accepting();
  // Sessions end as their clients expect.
  void retire();
  // No new work, no rest: sessions end after what they do now, or when they are cancelled.
  void close();
  void cancel_sessions();
  // Joins the threads.
  void stop();
  // For a session that does not end: everything that it may refer to stays, for the little that is left of the process.
  static void leak(std::unique_ptr<Planes> planes) { [[maybe_unused]] auto* const left = planes.release(); }

 private:
  struct Plane;
  template <class F>
  void each(F call);

  Random seeds_;
  std::vector<std::unique_ptr<Crowd>> crowds_;  // one a resource
  std::vector<std::unique_ptr<Plane>> planes_;
  std::vector<std::unique_ptr<Listener>> listeners_;  // one a resource, all on the first plane
};

}  // namespace foreshadow::proxy
