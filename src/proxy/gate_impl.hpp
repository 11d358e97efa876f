// The Gate of one resource: the table in force, who is parked, what is in flight, what clients felt. It decides nothing
// by itself but the lapse of a lease, and which instance is left alone for a while: a current one never loses its work
// to another by that. Commands come from the gateway, which makes them durable (see gate_state.hpp): a table is written
// before put_in_force(), a seal after seal() and before it is acknowledged.
//
// Lives on one executor without parallelism; nothing here is thread-safe. Passes, marks and coroutines inside enter()
// must have ended before it is destroyed; call close() before the executor's context goes.
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/random.hpp"
#include "domain/policy.hpp"
#include "proxy/admission.hpp"
#include "proxy/gate.hpp"
#include "proxy/gate_state.hpp"
#include "proxy/gate_stats.hpp"
#include "proxy/hold_machine.hpp"
#include "proxy/lane.hpp"
#include "proxy/settings.hpp"
#include "proxy/settler.hpp"

namespace foreshadow::proxy {

// What a hold does about work that is in flight. abandoned: nothing, since its instance is dead, and whoever fences that
// ends it.
enum class InFlight { awaited, abandoned };

struct GateSettings {
  ResourceId resource;
  std::vector<Segment> segments;
  Instance primary;  // served until a table comes
  int parked_max = 10'000;
  std::uint64_t seed = 0;
  InstanceLimits limits{};
};

class GateImpl final : public Gate {
 public:
  // Called once when a hold is complete (success), or will not be: timeout (over budget, everything was released),
  // refused (sessions that cannot follow, or released meanwhile), cancelled (the gateway stops).
  using HoldDone = std::function<void(Result<void>)>;

  GateImpl(boost::asio::any_io_executor executor, GateSettings settings,
           std::optional<GateState> booted = std::nullopt);
  ~GateImpl() override;

  using Gate::enter;
  using Gate::try_enter;
  boost::asio::awaitable<Result<Pass>> enter(std::size_t segment, std::uint64_t sticky, Work work) override;
  std::optional<Pass> try_enter(std::size_t segment, std::uint64_t sticky, Work work) override;
  boost::asio::awaitable<Result<Pass>> enter_again(std::size_t segment, std::uint64_t sticky) override;
  bool parks() const override { return machine_.parks() || opening_ > 0; }
  Millis unreachable_wait() const override { return settings_.limits.unreachable_wait; }
  SessionMark session() override { return ++sessions_, make_session_mark(); }
  UnmovableMark unmovable(std::string reason) override;
  void mirrored(std::size_t segment, const MirrorResult& result) override;
  void refused(std::size_t segment) override { ++stats_.of(segment).refused; }
  void settle_by(std::weak_ptr<Settler> settler) override { settler_ = std::move(settler); }
  const RouteTable& table() const override { return state_.table; }

  // What the state would be with this table, for the disk; nothing if it is in force already. Errors as admit().
  Result<std::optional<GateState>> propose(const RouteTable& table) const;
  // Requires: propose() accepted it. New work goes where it says. True: it is to end a hold or a seal, by open_up(); a
  // gate that is one of several waits until all have the table, so that nothing new is written to where it leads while
  // anybody still works where the last one led.
  bool put_in_place(const RouteTable& table);
  // Ends the hold or the seal and lets parked work go, once sessions have settled on the new side.
  void open_up();
  // Both.
  void put_in_force(const RouteTable& table) {
    if (put_in_place(table)) open_up();
  }
  // Parks new work at once; `done` comes when nothing is in flight. Errors, and then `done` is never called: refused
  // (sessions that cannot follow, listed), conflict (stale term or epoch, held for another epoch), invalid.
  // Lease and budget begin at `from`: the same for gates that hold together, so that they lapse together.
  // abandoned: complete at once, and no session refuses it.
  Result<void> hold(std::uint64_t term, std::uint64_t next_epoch, const HoldPolicy& policy, HoldDone done,
                    HoldMachine::Now from = std::chrono::steady_clock::now(), InFlight in_flight = InFlight::awaited);
  // Ends the hold for this epoch, if there is one that is not sealed: one of the gates that hold together could not.
  void give_up_hold(std::uint64_t next_epoch);
  // Closes the old side. Errors as HoldMachine::seal, and conflict for a stale term or epoch.
  Result<void> seal(std::uint64_t term, std::uint64_t next_epoch);
  void unseal();
  // Calls `then` on the gate's thread when sessions have heard all that the side just sealed has to say, at once if
  // there are none.
  void hear_out(std::function<void()> then);
  // What the state would be after a release, for the disk. Errors: conflict (stale term; held or sealed for another
  // epoch; the epoch is already in force).
  Result<GateState> propose_release(std::uint64_t term, std::uint64_t next_epoch) const;
  void release(std::uint64_t term, std::uint64_t next_epoch);

  // The current truth, as it belongs on disk.
  GateState state() const;
  // Gateway name and incarnation are the owner's to fill in.
  GatewayReport report() const;
  // Every parked session gets `cancelled`, every pending hold too, and nothing parks any more. For shutdown.
  void close();

 private:
  using Now = HoldMachine::Now;
  struct Route {
    double other_weight = 0;
    double mirror = 0;
  };
  // Where a unit of work would go.
  struct Choice {
    Lane* lane = nullptr;
    std::shared_ptr<const Instance> mirror{};
    Side side = Side::current;
    bool diverted = false;  // from the other side
  };

  // gate_flow.cpp
  bool held_up(Work work) const;
  // Some of what a hold had parked waits still, and this would overtake it. Where there is no room to wait, it may.
  bool comes_after_parked(Work work) const;
  bool has_place(const Lane& lane) const;
  // And nobody waits for it.
  bool has_room(const Lane& lane) const;
  // Does the current side's circuit let work through, perhaps as a try?
  bool admits(Lane& lane) const;
  // Work waits for a current side that takes no connections.
  bool waits() const { return settings_.limits.unreachable_wait > Millis{0}; }
  // Has who waits for the current side's circuit tried in time.
  void arm_retry();
  Choice choose(std::size_t segment, std::uint64_t sticky);
  Choice at_current(std::size_t segment);
  Pass grant(Choice choice, std::size_t segment, Work work);
  // `lane`: null to be parked.
  boost::asio::awaitable<Result<Pass>> wait(std::size_t segment, std::uint64_t sticky, Work work, Lane* lane);
  boost::asio::awaitable<Result<Pass>> park(std::size_t segment, std::uint64_t sticky, Work work);
  void place(Waiter& waiter, Lane* lane);
  void give(Waiter& waiter, Choice choice);
  void refuse(Waiter& waiter, const Lane& lane);
  Error refuse_for(const Lane& lane, std::size_t segment);
  // Takes it out of where it waits, wherever it may go now.
  void send_on(Waiter& waiter);
  // Gives what room there is to those who wait for it.
  void serve(Lane& lane);
  // FIFO, and not all at once: the side that has just opened is met with a slow start (RFC 5681, section 3.1, has one
  // for packets). So many begin, as many again every 10 ms, and two for each that ends, until nobody waits.
  void release_parked();
  void release_more();
  void park_queued();
  void feed(Lane& lane, bool ok, const char* why);

  Lane& lane_for(const Instance& instance, bool is_current);
  void install(const RouteTable& table);
  void sweep_lanes();
  void raise_term(std::uint64_t term);
  // refused: nothing may be decided here before the current table is known.
  Result<void> check_abreast() const;
  Result<void> check_term(std::uint64_t term, std::uint64_t next_epoch) const;
  std::string unmovable_text() const;
  // Lets the hold machine see the clock and what is in flight, acts on what it says, and re-arms the timer.
  void advance();
  void arm_timer();
  void answer_holds(const Result<void>& result);
  // Has `then` called, on the gate's thread, when the last copy of it has gone.
  Stay stay(std::function<void()> then);
  void settle();

  void leave(Pass& pass) override;
  void finished(Pass& pass, Failure failure, Micros took) override;
  void given_back(Pass& pass, Failure why) override;
  void leave(const UnmovableMark& mark) override;
  void leave(const SessionMark& mark) override;

  boost::asio::any_io_executor executor_;
  GateSettings settings_;
  GateState state_;  // its hold and seal fields are unused: machine_ has them
  std::vector<Route> routes_;
  std::list<Lane> lanes_;  // those of the table, and those before them that still have work
  Lane* current_ = nullptr;
  Lane* other_ = nullptr;  // null: there is none
  Random random_;
  HoldMachine machine_;
  bool abandons_ = false;  // the hold in it waits for nothing
  std::optional<boost::asio::steady_timer> timer_;
  std::optional<boost::asio::steady_timer> retry_;
  std::optional<boost::asio::steady_timer> pace_;
  std::vector<HoldDone> hold_done_;
  std::list<Waiter*> parked_;
  GateStats stats_;
  std::optional<HoldWaits> hold_waits_;  // of the newest hold
  Now held_from_{};
  std::map<std::string, int> unmovable_;
  int sessions_ = 0;
  int in_flight_ = 0;
  int writing_ = 0;         // of those in flight, what a hold waits for
  int release_window_ = 0;  // so much may be in flight while parked work goes
  std::weak_ptr<Settler> settler_;
  enum class Settling { not_yet, busy, done };
  Settling settling_ = Settling::done;  // of the hold
  std::uint64_t holds_ = 0;
  int opening_ = 0;  // new sides that sessions are settling on
  const std::shared_ptr<char> alive_ = std::make_shared<char>();
  bool closed_ = false;
};

}  // namespace foreshadow::proxy
