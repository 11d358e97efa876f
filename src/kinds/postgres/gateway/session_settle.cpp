// A session in an orderly handover. What ends with its server otherwise is taken along, in this order: its advisory
// locks are asked for when nothing of the client's is in flight; everything it listens to is heard out when the old
// side is sealed and nobody can notify it any more; locks and LISTENs are there on the new server before anybody's work
// is.
//
// A session that has not come through a step in time is not moved over it: its client is told that the server is gone.
// A server that is slow to answer is not given up for it: whoever waits for the session goes on without, and the
// client's next statement waits as it would for an answer of its own.
#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "kinds/postgres/gateway/session.hpp"

namespace foreshadow::kinds::pg_gateway {

namespace asio = boost::asio;

namespace {
// Everybody's work waits for those who arrive, and who comes later is ended: a starved machine must not do that.
constexpr Millis arrive_max{3000};
constexpr Millis arrive_every{20};
}  // namespace

void Session::unsettle() {
  locks_known_ = heard_out_ = false;
  locks_.clear();
  if (settle_failure_.empty()) return;
  settle_failure_.clear();
  update_mark();
}

void Session::tend() {
  if (ready_ && !closing_ && !gate_.parks() && !arriving_) {
    // Any handover that it had settled for is over, or was given up.
    if (!unit_open_) unsettle();
    const bool orphaned = !unit_open_ && !active_ && !parked_;
    if (const auto why = why_it_stays(false); orphaned && !why.empty()) {
      spawn(farewell_lost("the server ended the connection, and the session cannot follow to another: " + why));
      return;
    }
  }
  consider_warm_up();
}

bool Session::at_rest() const {
  return ready_ && !closing_ && !unit_open_ && !arriving_ && tracker_.idle() && active_ && !active_->dead &&
         !active_->exchange && active_->serves(gate_.table().current);
}

bool Session::may_leave() const { return locks_known_ && (tracker_.listening().empty() || heard_out_); }

std::string Session::why_it_stays(bool orderly) const {
  if (const auto pinned = tracker_.pinned(); !pinned.empty()) return std::string(pinned);
  if (orderly && may_leave()) return {};
  if (const auto anchored = tracker_.anchored(); !anchored.empty()) return std::string(anchored);
  return locks_.empty() ? std::string() : "session advisory lock";
}

asio::awaitable<std::optional<std::vector<AdvisoryLock>>> Session::ask_locks() {
  const auto self = shared_from_this();
  const auto b = active_;
  const auto answers = co_await exchange(*b, query(query_of_locks()), 1, Millis{0});
  if (!answers) co_return std::nullopt;
  co_return read_locks(answers->answers().front());
}

void Session::settle_locks(const std::optional<std::vector<AdvisoryLock>>& all, const proxy::Stay& stay) {
  if (!ready_ || closing_) return;
  const bool anchored = !tracker_.anchored().empty();
  if (!all || !active_ || !active_->serves(gate_.table().current)) {
    // Without a server there is nothing to take along; with one that does not answer there may be.
    if (anchored && active_ && active_->serves(gate_.table().current)) {
      settle_failure_ = "its server does not tell which advisory locks it holds";
      update_mark();
    }
    return;
  }
  std::ranges::copy_if(*all, std::back_inserter(locks_),
                       [&](const AdvisoryLock& lock) { return lock.pid == active_->key.pid; });
  if (!at_rest() && (anchored || !locks_.empty())) {
    settle_failure_ = "its server does not answer, or its client does not read";
    update_mark();
  } else if (locks_.empty()) {
    if (tracker_.idle()) tracker_.no_locks();
    locks_known_ = true;
  } else {
    spawn(count_locks(stay));
  }
}

asio::awaitable<void> Session::count_locks(proxy::Stay stay) {
  const auto b = active_;
  const auto answers = co_await exchange(*b, query(query_of_depths(locks_)), 1, Millis{0});
  if (closing_) co_return;
  if (!answers || !answers->answers().front().ok()) {
    // Whether they are still held is not known.
    forget(*b);
    co_await farewell_lost("the session's advisory locks could not be counted");
    co_return;
  }
  if (!read_depths(answers->answers().front(), locks_)) {
    settle_failure_ = "advisory lock that was taken too often";
    update_mark();
    co_return;
  }
  locks_known_ = true;
}

void Session::hear_out(const proxy::Stay& stay) {
  if (tracker_.listening().empty() || !at_rest()) return;
  spawn(hear(active_, stay));
}

// What was committed before this is in the listener's queue, and the server hands it out before it is ready again
// (manual, NOTIFY; ProcessNotifyInterrupt). Nothing is committed after it: the side is sealed.
asio::awaitable<void> Session::hear(BackendPtr b, proxy::Stay stay) {
  const auto answers = co_await exchange(*b, sync(), 1, Millis{0});
  heard_out_ = answers && b == active_;
}

void Session::arrive(const proxy::Stay& stay) {
  if (!ready_ || closing_ || unit_open_ || arriving_) return;
  if (tracker_.anchored().empty() && locks_.empty()) return;
  arriving_ = true;
  spawn(arriving(stay));
}

asio::awaitable<void> Session::arriving(proxy::Stay stay) {
  Deadline late(hub_->executor, arrive_max, [&] { stay.reset(); });
  Result<void> done;
  for (;;) {
    done = co_await attach(gate_.table().current, gate_.table().epoch);
    if (done || closing_ || !stay || done.error().code == Code::conflict) break;
    asio::steady_timer pause(hub_->executor, arrive_every);
    co_await pause.async_wait(asio::as_tuple(asio::use_awaitable));
  }
  // Others may have written there already, and notified nobody.
  if (done && !stay && !tracker_.listening().empty()) done = fail(Code::timeout, "it could not listen there in time");
  arriving_ = false;
  unsettle();
  if (!done && !closing_) co_await farewell_lost(done.error().what);
  bell_.ring();
}

}  // namespace foreshadow::kinds::pg_gateway
