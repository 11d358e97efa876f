// One resource at one gateway: where each unit of work goes, and whether it may start now. A unit of work is an HTTP
// request or a database transaction. Sessions ask the gate at every unit's start and tell it at its end; the gate knows
// nothing of protocols and nothing of risk.
//
// Lives on one thread of the gateway; nothing here is thread-safe. State that must survive a crash (table, hold, seal)
// is persisted by the owner (see gateway.hpp) before a command is acknowledged.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "domain/gateway_report.hpp"
#include "domain/route_table.hpp"

namespace foreshadow::proxy {

using Micros = std::chrono::microseconds;

enum class Side { current, other };
// How a unit of work ended: see domain/gateway_report.hpp. `other`: failed, in a way that the kind does not tell apart.
enum class Failure { none, other, connect, reset, timeout, protocol, status_5xx, client_gone };

// What a unit of work may do. `read`: nothing that changes data, as the kind vouches for; it may go on where it is
// while a hold parks the rest.
enum class Work { write, read };

class Gate;
class Settler;
struct Lane;

// Leave to do one unit of work. Counts as in flight until destroyed; tell the result with finish() before that, or it
// is counted as an error. Move-only.
class Pass {
 public:
  Pass(Pass&& other) noexcept;
  Pass& operator=(Pass&&) noexcept;
  ~Pass();

  Side side() const { return side_; }
  // A copy: the table may change while the work runs, the work stays where it began.
  const Instance& target() const { return *target_; }
  // Set when a copy of this unit should go to the shadow; the mirror must never make the unit wait.
  const std::shared_ptr<const Instance>& mirror() const { return mirror_; }
  std::size_t segment() const { return segment_; }
  std::uint64_t epoch() const { return epoch_; }
  Work work() const { return work_; }

  void finish(Failure failure, Micros took);
  void finish(bool ok, Micros took) { finish(ok ? Failure::none : Failure::other, took); }
  // The work was not done here, and enters anew: it counts for no side, neither as answered nor as failed. `why`:
  // connect, if it is for want of a connection.
  void give_back(Failure why = Failure::none);

 private:
  friend class Gate;
  Pass() = default;
  Gate* gate_ = nullptr;
  std::shared_ptr<const Instance> target_;
  std::shared_ptr<const Instance> mirror_;
  Lane* lane_ = nullptr;
  Side side_ = Side::current;
  Work work_ = Work::write;
  std::size_t segment_ = 0;
  std::uint64_t epoch_ = 0;
  bool finished_ = false;
};

// While it lives, its session is counted as unable to follow a handover.
class UnmovableMark {
 public:
  UnmovableMark() = default;
  UnmovableMark(UnmovableMark&&) noexcept;
  UnmovableMark& operator=(UnmovableMark&&) noexcept;
  ~UnmovableMark();

 private:
  friend class Gate;
  Gate* gate_ = nullptr;
  std::string reason_;
};

// Counts a connected client while it lives.
class SessionMark {
 public:
  SessionMark() = default;
  SessionMark(SessionMark&&) noexcept;
  SessionMark& operator=(SessionMark&&) noexcept;
  ~SessionMark();

 private:
  friend class Gate;
  Gate* gate_ = nullptr;
};

struct MirrorResult {
  InstanceId shadow{};  // who had it, unless it was dropped: the other side may be another by now
  bool dropped = false;
  bool error = false;
  bool primary_failed = false;  // so its shadow's failure says nothing of the shadow
  bool mismatched = false;
  Micros took{0};
};

class Gate {
 public:
  virtual ~Gate() = default;

  // Waits while the resource is held or sealed, or its instance is busy (FIFO). A `read` goes on in a hold, and in a
  // seal for as long as work may be parked in it: by then its end is overdue. Segment indices are those of the
  // gateway's settings, in order. The index one past the last means that no segment matched: such work goes to the
  // current side and is never mirrored. `sticky`: a hash that keeps one client on one side while the weight grows; 0
  // draws afresh each time. Errors: timeout (parked to the cap, sealed too long, or its instance busy too long: answer
  // honestly that nothing was done), refused (too much waits already, or its instance takes no connections), cancelled
  // (the gateway stops).
  virtual boost::asio::awaitable<Result<Pass>> enter(std::size_t segment, std::uint64_t sticky, Work work) = 0;
  boost::asio::awaitable<Result<Pass>> enter(std::size_t segment, std::uint64_t sticky) {
    return enter(segment, sticky, Work::write);
  }
  // The same without waiting: nothing if it would have to wait, or be refused.
  virtual std::optional<Pass> try_enter(std::size_t segment, std::uint64_t sticky, Work work) = 0;
  std::optional<Pass> try_enter(std::size_t segment, std::uint64_t sticky) {
    return try_enter(segment, sticky, Work::write);
  }
  // For a read that was given back, because its side would not take it: waits for the end of a hold although reads
  // flow.
  virtual boost::asio::awaitable<Result<Pass>> enter_again(std::size_t segment, std::uint64_t sticky) = 0;
  // New work would have to wait: a hold or a seal. For kinds whose work may last for hours, and must be asked to end.
  virtual bool parks() const = 0;
  // How long work whose instance took no connection may enter again, to wait until it does; 0: it is not worth it.
  virtual Millis unreachable_wait() const { return Millis{0}; }

  virtual SessionMark session() = 0;
  virtual UnmovableMark unmovable(std::string reason) = 0;
  virtual void mirrored(std::size_t segment, const MirrorResult& result) = 0;
  // The client was told that its work was not done: enter() failed.
  virtual void refused(std::size_t segment) = 0;

  // Told of the turns of each handover from here on; one at a time, a later one takes an earlier one's place.
  virtual void settle_by(std::weak_ptr<Settler>) {}

  // The table in force: for a session that wants to open its connection to the shadow ahead of time.
  virtual const RouteTable& table() const = 0;

 protected:
  friend class Pass;
  friend class UnmovableMark;
  friend class SessionMark;
  // An implementation hands out leave only through these; what they return must not outlive the gate.
  struct Leave {
    std::shared_ptr<const Instance> target;
    std::shared_ptr<const Instance> mirror;
    Lane* lane = nullptr;  // the implementation's own
    Side side = Side::current;
    Work work = Work::write;
    std::size_t segment = 0;
    std::uint64_t epoch = 0;
  };
  Pass make_pass(Leave leave);
  SessionMark make_session_mark();
  UnmovableMark make_unmovable_mark(std::string reason);
  static const std::string& reason_of(const UnmovableMark& mark) { return mark.reason_; }
  static bool is_finished(const Pass& pass) { return pass.finished_; }
  static Lane* lane_of(const Pass& pass) { return pass.lane_; }
  // Called once for each of them, when it ends.
  virtual void leave(Pass& pass) = 0;
  virtual void finished(Pass& pass, Failure failure, Micros took) = 0;
  virtual void given_back(Pass& pass, Failure why) = 0;
  virtual void leave(const UnmovableMark& mark) = 0;
  virtual void leave(const SessionMark& mark) = 0;
};

}  // namespace foreshadow::proxy
