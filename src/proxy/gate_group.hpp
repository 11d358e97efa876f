// The gates of one resource, one at each thread that serves it, as the one gate that commands are given to: a command
// counts when every thread has obeyed it, and one that a thread cannot obey is taken back from the others. What goes to
// disk is one state, because commands come one at a time and all gates get the same; only a lease may have lapsed at
// one and not yet at another, for as long as a thread takes to look at its clock.
//
// Between two threads there is no instant in which both change. So an order is kept instead: a new side is written to
// only when no thread gives new work to the old one, and a hold is complete only when the last has drained.
#pragma once

#include <boost/asio/io_context.hpp>
#include <future>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <vector>

#include "proxy/gate_impl.hpp"
#include "proxy/protocol.hpp"

namespace foreshadow::proxy {

// Called on control threads, one command at a time (report() at any time); waits for the threads of its members, which
// must be running.
class GateGroup {
 public:
  struct Member {
    boost::asio::io_context* context = nullptr;
    GateImpl* gate = nullptr;
    Protocol* protocol = nullptr;
  };
  // A hold on its way to being complete.
  class Drain;

  explicit GateGroup(std::vector<Member> members);

  // As the gate's own (gate_impl.hpp), for all of them.
  Result<std::optional<GateState>> propose(const RouteTable& table);
  void put_in_force(const RouteTable& table);
  struct Held {
    GateState state;
    std::shared_ptr<Drain> drain;
  };
  Result<Held> hold(std::uint64_t term, std::uint64_t next_epoch, const HoldPolicy& policy,
                    InFlight in_flight = InFlight::awaited);
  // Waits until nothing is in flight at any, or one has said why that will not be. Not a command: others come through
  // meanwhile.
  static Result<void> wait(Drain& drain);
  // Releases the others after a drain that failed, unless a later hold has taken its place.
  void give_up(const Drain& drain);
  Result<GateState> seal(std::uint64_t term, std::uint64_t next_epoch);
  void unseal();
  // One for each gate, ready when its sessions have heard the sealed side out. Wait for them with a limit.
  std::vector<std::future<void>> hear_out();
  Result<GateState> propose_release(std::uint64_t term, std::uint64_t next_epoch);
  void release(std::uint64_t term, std::uint64_t next_epoch);
  GateState state();

  // Gateway name and incarnation are the owner's to fill in.
  GatewayReport report();
  Result<nlohmann::json> differences() const;

 private:
  template <class F>
  auto each(F call);
  std::vector<Member> members_;
  std::uint64_t holds_ = 0;  // begun at all of them
};

}  // namespace foreshadow::proxy
