#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "kinds/postgres/gateway/session.hpp"

namespace foreshadow::kinds::pg_gateway {

namespace asio = boost::asio;
constexpr auto use = asio::as_tuple(asio::use_awaitable);

namespace {

constexpr Millis connect_max{5000};
// A server that is away (a crash, an unplanned failover) is tried again for this long while the client waits; each try
// asks the gate anew, so the wait keeps no handover from draining.
constexpr Millis reach_max{5000};
constexpr Millis reach_every{100};
// Sessions open their connections to the shadow a few at a time: it may be a small machine that is still catching up.
constexpr int warming_max = 8;
constexpr Millis warm_backoff_min{500};
constexpr Millis warm_backoff_max{10'000};
// The shadow may only be behind with what a statement needs; said so often, it is more than that.
constexpr int repeat_failures_max = 3;

proxy::Micros since(std::chrono::steady_clock::time_point then) {
  return std::chrono::duration_cast<proxy::Micros>(std::chrono::steady_clock::now() - then);
}

}  // namespace

asio::awaitable<bool> Session::begin_unit(const Piece& first) {
  const auto arrived = Clock::now();
  const auto until = arrived + std::min(hub_->settings.upstream_timeout, reach_max);
  needs_unnamed_ = false;
  if (first.type == 'B') {
    const auto bind = decode_bind(first.body);
    needs_unnamed_ = bind && bind->statement.empty();
  } else if (first.type == 'D') {
    const auto target = decode_target(first.body);
    needs_unnamed_ = target && target->kind == 'S' && target->name.empty();
  }
  for (;;) {
    const auto begun = co_await try_begin(first, arrived, until);
    if (begun != Begun::again) co_return begun == Begun::yes;
    asio::steady_timer pause(hub_->executor, reach_every);
    const auto [error] = co_await pause.async_wait(use);
    if (error || closing_) co_return false;
  }
}

asio::awaitable<Session::Begun> Session::try_begin(const Piece& first, Clock::time_point arrived,
                                                   Clock::time_point until) {
  auto entered = co_await enter();
  if (!entered) {
    if (!closing_) co_await refuse(first, entered.error());
    co_return Begun::no;
  }
  proxy::Pass pass = std::move(*entered);
  while (arriving_ && !closing_) co_await bell_.wait();
  if (closing_) {
    pass.finish(true, proxy::Micros{0});
    co_return Begun::no;
  }
  auto attached = co_await attach(pass.target(), pass.epoch());
  if (!attached && attached.error().code != Code::conflict && pass.side() == proxy::Side::other) {
    // The shadow's failure, and the shadow's alone: the client is served by the side it would have had without one.
    pass.finish(false, since(arrived));
    attached = co_await attach(gate_.table().current, gate_.table().epoch);
  }
  if (attached) {
    unsettle();
    pass_.emplace(std::move(pass));
    unit_open_ = true;
    unit_sent_ = fatal_said_ = unit_failed_ = closed_request_ = false;
    unit_tag_.clear();
    unit_began_ = arrived;
    unit_entered_ = Clock::now();
    owed_since_.reset();
    served_ = proxy::Micros{0};
    capture_ = {};
    capture_.on = pass_->mirror() != nullptr;
    co_return Begun::yes;
  }
  if (closing_) {
    pass.finish(true, proxy::Micros{0});
    co_return Begun::no;
  }
  pass.finish(false, since(arrived));
  if (attached.error().code != Code::conflict && Clock::now() < until) co_return Begun::again;
  co_await farewell_lost(attached.error().what);
  co_return Begun::no;
}

// Makes a connection to `target` the active one, with everything the session has set. Errors: conflict (the session is
// pinned elsewhere), unreachable, timeout, refused. Nothing of the client's next statement has been sent then.
asio::awaitable<Result<void>> Session::attach(Instance target, std::uint64_t epoch) {
  const bool alive = active_ && co_await settled(*BackendPtr(active_));
  if (alive && active_ && active_->serves(target)) {
    co_await undisturbed(*BackendPtr(active_));
    if (active_ && !active_->dead) co_return Result<void>();
  }
  if (const auto why = why_it_stays(arriving_); !why.empty()) {
    // A read-only session that took its state on one side of the split stays there while that side exists.
    if (alive && active_ && reads_only_ && in_table(*active_)) co_return Result<void>();
    co_return fail(Code::conflict, "the session could not follow to another server: " + why);
  }
  prune();
  auto b = find(target);
  if (b && !co_await settled(*b)) b.reset();
  if (!b) {
    FS_CO_TRY(opened, co_await open(target, epoch));
    b = std::move(opened);
  }
  if (const auto done = co_await bring_up_to_date(*b); !done) {
    forget(*b);
    co_return done;
  }
  if (b->dead) co_return fail(Code::unreachable, target.endpoint.text() + ": connection lost");
  active_ = b;
  prune();
  co_await tell_differences(*b);
  co_return Result<void>();
}

asio::awaitable<Result<Session::BackendPtr>> Session::open(Instance target, std::uint64_t epoch) {
  const Millis within = std::min(hub_->settings.upstream_timeout, connect_max);
  FS_CO_TRY(opened, co_await open_backend(hub_->dialer, target, epoch, startup_, hub_->credentials, within));
  if (closing_) co_return fail(Code::cancelled, "the session has ended");
  // A unit and the warm-up may both have begun to open one: the session keeps the first.
  for (const auto& there : backends_)
    if (!there->dead && there->serves(target) && there->epoch == epoch) {
      opened->leave();
      co_return there;
    }
  backends_.push_back(opened);
  start_pump(opened);
  co_return opened;
}

// Parameters that differ on the new server are real news to the client; whether it is a standby is not.
asio::awaitable<void> Session::tell_differences(Backend& b) {
  std::string news;
  for (const auto& [name, value] : b.parameters) {
    if (name == "in_hot_standby") continue;
    auto& told = told_[name];
    if (told == value) continue;
    told = value;
    news += parameter_status(name, value);
  }
  if (!news.empty()) co_await to_client(std::move(news));
}

// True when the connection stands and everything the server has said so far has been read: its FATAL before a hang-up,
// above all.
asio::awaitable<bool> Session::settled(Backend& b) {
  for (int turn = 0; turn < 16; ++turn) {
    if (b.dead) co_return false;
    switch (b.peek()) {
      case Backend::Peek::quiet:
        co_return true;
      case Backend::Peek::closed:
        // Its pump finds out by itself, and ends a session that cannot live without it.
        while (!b.dead && !closing_) co_await bell_.wait();
        co_return false;
      case Backend::Peek::data:
        co_await asio::post(hub_->executor, asio::use_awaitable);
        break;
    }
  }
  co_return !b.dead;
}

Session::BackendPtr Session::find(const Instance& instance) const {
  for (const auto& backend : backends_)
    if (!backend->dead && backend->serves(instance)) return backend;
  return nullptr;
}

void Session::forget(Backend& b) {
  b.dead = true;
  b.conn->close();
  if (active_.get() == &b) active_.reset();
  std::erase_if(backends_, [&](const BackendPtr& other) { return other.get() == &b; });
}

// Whether a unit may use it. A connection opened before a handover to what is now the other side reaches into a former
// primary, and must never be used again, whatever that has become.
bool Session::in_table(const Backend& b) const {
  const auto& table = gate_.table();
  return b.serves(table.current) || (table.other && b.serves(*table.other) && b.epoch == table.epoch);
}

void Session::prune() {
  const auto unwanted = [&](const BackendPtr& b) { return b != active_ && !in_table(*b); };
  for (const auto& b : backends_)
    if (unwanted(b)) {
      b->dead = true;
      b->conn->close();
    }
  std::erase_if(backends_, unwanted);
}

void Session::consider_warm_up() {
  if (!ready_ || closing_ || warming_) return;
  if (!unit_open_) prune();
  const auto& other = gate_.table().other;
  if (!other) {
    if (!warm_failure_.empty()) {
      warm_failure_.clear();
      warm_backoff_ = Millis{0};
      update_mark();
    }
    return;
  }
  if (!tracker_.pinned().empty() || hub_->warming >= warming_max) return;
  if (const auto there = find(*other)) return consider_refresh(there);
  if (Clock::now() < warm_retry_at_) return;
  spawn(warm_up(*other, gate_.table().epoch));
}

asio::awaitable<void> Session::warm_up(Instance target, std::uint64_t epoch) {
  warming_ = true;
  ++hub_->warming;
  const auto opened = co_await open(std::move(target), epoch);
  --hub_->warming;
  warming_ = false;
  if (closing_) co_return;
  if (opened) {
    warm_failure_.clear();
    warm_backoff_ = Millis{0};
    consider_refresh(*opened);
  } else {
    warm_failure_ = "no connection to the shadow: " + opened.error().what;
    if (opened.error().what.rfind("server asks for a password", 0) == 0) warm_failure_ = opened.error().what;
    warm_backoff_ = std::clamp(warm_backoff_ * 2, warm_backoff_min, warm_backoff_max);
    warm_retry_at_ = Clock::now() + warm_backoff_;
  }
  update_mark();
}

// Told as soon as it is known, and before a unit's leave is given back: a hold that has drained looks at the marks.
void Session::update_mark() {
  if (!ready_) return;
  std::string reason(tracker_.pinned());
  if (reason.empty() && gate_.table().other) reason = warm_failure_;
  if (reason.empty() && gate_.table().other && repeat_failures_ >= repeat_failures_max) reason = repeat_failure_;
  if (reason.empty()) reason = settle_failure_;
  if (reason == marked_) return;
  if (reason.empty()) {
    mark_.reset();
  } else {
    mark_ = gate_.unmovable(reason);
  }
  marked_ = std::move(reason);
}

}  // namespace foreshadow::kinds::pg_gateway
