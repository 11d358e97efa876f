#include "proxy/gate_impl.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/assert.hpp"
#include "base/log.hpp"
#include "proxy/sticky.hpp"

namespace foreshadow::proxy {

namespace asio = boost::asio;

// Lives in the frame of the coroutine that waits. What it waited for is put into it before it is woken, so that whoever
// comes after cannot overtake it.
struct GateImpl::Waiter {
  std::size_t segment;
  std::uint64_t sticky;
  asio::steady_timer timer;
  std::optional<Pass> pass;
};

GateImpl::GateImpl(asio::any_io_executor executor, GateSettings settings, std::optional<GateState> booted)
    : executor_(std::move(executor)), settings_(std::move(settings)), random_(settings_.seed), timer_(executor_) {
  for (const auto& segment : settings_.segments) stats_.push_back({.segment = segment.id});
  stats_.push_back({.segment = kUnmatchedSegment});
  if (booted) {
    raise_term(booted->term);
    install(booted->table);
    if (booted->seal) machine_.boot_sealed(booted->seal->next_epoch, booted->seal->park_max);
    return;
  }
  RouteTable table;
  table.resource = settings_.resource;
  table.current = settings_.primary;
  install(table);
}

GateImpl::~GateImpl() { close(); }

void GateImpl::install(const RouteTable& table) {
  state_.table = table;
  raise_term(table.term);
  current_ = std::make_shared<const Instance>(table.current);
  other_ = table.other ? std::make_shared<const Instance>(*table.other) : nullptr;
  routes_.assign(settings_.segments.size() + 1, {});
  for (std::size_t i = 0; i < settings_.segments.size(); ++i)
    for (const auto& route : table.routes)
      if (route.segment == settings_.segments[i].id) routes_[i] = {route.other_weight, route.mirror};
}

void GateImpl::raise_term(std::uint64_t term) { state_.term = std::max(state_.term, term); }

Pass GateImpl::grant(std::size_t segment, std::uint64_t sticky) {
  FS_ASSERT(segment < routes_.size());
  const auto& route = routes_[segment];
  ++in_flight_;
  if (other_ && route.other_weight > 0) {
    const double point = sticky != 0 ? point_of(sticky) : random_.uniform();
    if (point < route.other_weight) return make_pass(other_, nullptr, Side::other, segment, state_.table.epoch);
  }
  const bool mirror = other_ && route.mirror > 0 && random_.chance(route.mirror);
  return make_pass(current_, mirror ? other_ : nullptr, Side::current, segment, state_.table.epoch);
}

std::optional<Pass> GateImpl::try_enter(std::size_t segment, std::uint64_t sticky) {
  if (machine_.parks() || closed_) return std::nullopt;
  return grant(segment, sticky);
}

asio::awaitable<Result<Pass>> GateImpl::enter(std::size_t segment, std::uint64_t sticky) {
  if (auto pass = try_enter(segment, sticky)) co_return std::move(*pass);
  if (closed_) co_return fail(Code::cancelled, "the gateway is stopping");
  if (parked_.size() >= static_cast<std::size_t>(settings_.parked_max))
    co_return fail(Code::refused, fmt::format("{} units of work wait already", parked_.size()));

  Waiter waiter{segment, sticky, asio::steady_timer(executor_, machine_.park_max()), std::nullopt};
  // Unlinks also when the coroutine is destroyed while it waits.
  struct Parked {
    std::list<Waiter*>& list;
    std::list<Waiter*>::iterator at;
    ~Parked() { list.erase(at); }
  } parked{parked_, parked_.insert(parked_.end(), &waiter)};

  const auto [error] = co_await waiter.timer.async_wait(asio::as_tuple(asio::use_awaitable));
  // Even if the timer fired first: leave that was given must be used or returned.
  if (waiter.pass) co_return std::move(*waiter.pass);
  if (error || closed_) co_return fail(Code::cancelled, "the gateway is stopping");
  co_return fail(Code::timeout,
                 machine_.state() == HoldState::sealed
                     ? "a handover has closed the old side and the new one is not open yet; nothing was done"
                     : "a handover held this work for too long; nothing was done");
}

void GateImpl::release_parked() {
  for (auto* waiter : parked_) {
    if (waiter->pass) continue;
    waiter->pass = grant(waiter->segment, waiter->sticky);
    waiter->timer.cancel();
  }
}

UnmovableMark GateImpl::unmovable(std::string reason) {
  ++unmovable_[reason];
  return make_unmovable_mark(std::move(reason));
}

void GateImpl::mirrored(std::size_t segment, const MirrorResult& result) {
  auto& mirror = stats_.at(segment).mirror;
  if (result.dropped) {
    ++mirror.dropped;
    return;
  }
  ++mirror.sent;
  if (result.error) ++mirror.errors;
  if (result.mismatched) ++mirror.mismatched;
  mirror.latency.record(static_cast<std::uint64_t>(std::max<Micros::rep>(0, result.took.count())));
}

namespace {
std::uint64_t Failures::* counter_of(Failure failure) {
  switch (failure) {
    case Failure::connect:
      return &Failures::connect;
    case Failure::reset:
      return &Failures::reset;
    case Failure::timeout:
      return &Failures::timeout;
    case Failure::protocol:
      return &Failures::protocol;
    case Failure::status_5xx:
      return &Failures::status_5xx;
    case Failure::client_gone:
      return &Failures::client_gone;
    case Failure::none:
    case Failure::other:
      break;
  }
  return nullptr;
}
}  // namespace

void GateImpl::finished(Pass& pass, Failure failure, Micros took) {
  // Work that outlived its epoch (no hold drained it) counts for the instance that did it, whichever side that is now.
  const bool current =
      pass.epoch() == state_.table.epoch ? pass.side() == Side::current : pass.target().id == state_.table.current.id;
  auto& stats = stats_.at(pass.segment());
  auto& side = current ? stats.current : stats.other;
  ++side.requests;
  if (failure != Failure::none) {
    if (failure != Failure::client_gone) ++side.errors;
    if (const auto counter = counter_of(failure)) ++(side.failures.*counter);
  }
  side.latency.record(static_cast<std::uint64_t>(std::max<Micros::rep>(0, took.count())));
}

void GateImpl::leave(Pass& pass) {
  if (!is_finished(pass)) {
    auto& stats = stats_.at(pass.segment());
    auto& side = pass.side() == Side::current ? stats.current : stats.other;
    ++side.requests;
    ++side.errors;
  }
  --in_flight_;
  if (in_flight_ == 0 && machine_.state() == HoldState::holding) advance();
}

void GateImpl::leave(const UnmovableMark& mark) {
  const auto found = unmovable_.find(reason_of(mark));
  FS_ASSERT(found != unmovable_.end());
  if (--found->second == 0) unmovable_.erase(found);
}

void GateImpl::leave(const SessionMark&) { --sessions_; }

Result<std::optional<GateState>> GateImpl::propose(const RouteTable& table) const {
  std::optional<std::uint64_t> sealed_for;
  if (machine_.state() == HoldState::sealed) sealed_for = machine_.next_epoch();
  FS_TRY(admission, admit({state_.table, state_.term, sealed_for, settings_.segments}, table));
  auto next = state();
  if (admission == Admission::same && table.term == state_.term) return std::optional<GateState>{};
  next.table = table;
  next.term = std::max(next.term, table.term);
  if (admission == Admission::handover) {
    next.hold.reset();
    next.seal.reset();
  }
  return std::optional<GateState>{std::move(next)};
}

void GateImpl::put_in_force(const RouteTable& table) {
  const bool handover = table.epoch > state_.table.epoch;
  install(table);
  if (!handover || !machine_.parks()) return;
  machine_.open();
  arm_timer();
  answer_holds(fail(Code::refused, fmt::format("epoch {} came into force meanwhile", table.epoch)));
  release_parked();
}

Result<void> GateImpl::check_term(std::uint64_t term, std::uint64_t next_epoch) const {
  if (term < state_.term)
    return fail(Code::conflict, fmt::format("term {} is over: {} has been here", term, state_.term));
  if (next_epoch <= state_.table.epoch)
    return fail(Code::conflict,
                fmt::format("epoch {} is in force, so {} cannot be next", state_.table.epoch, next_epoch));
  return {};
}

std::string GateImpl::unmovable_text() const {
  std::string text;
  for (const auto& [reason, sessions] : unmovable_)
    text += fmt::format("{}{} ({})", text.empty() ? "" : ", ", reason, sessions);
  return text;
}

Result<void> GateImpl::hold(std::uint64_t term, std::uint64_t next_epoch, const HoldPolicy& policy, HoldDone done) {
  if (closed_) return fail(Code::cancelled, "the gateway is stopping");
  FS_CHECK(check_term(term, next_epoch));
  if (!unmovable_.empty() && machine_.state() != HoldState::sealed)
    return fail(Code::refused, "sessions cannot follow a handover: " + unmovable_text());
  // A lapse not yet acted on must not be renewed as if the hold had lasted.
  advance();
  FS_CHECK(machine_.begin(next_epoch, policy, std::chrono::steady_clock::now()));
  raise_term(term);
  if (machine_.state() != HoldState::holding) {
    arm_timer();
    done({});
    return {};
  }
  hold_done_.push_back(std::move(done));
  advance();
  return {};
}

void GateImpl::advance() {
  switch (machine_.advance(std::chrono::steady_clock::now(), in_flight_)) {
    case HoldMachine::Change::none:
      break;
    case HoldMachine::Change::drained:
      // One may have become unmovable in the work that was in flight when the hold began.
      if (unmovable_.empty()) {
        answer_holds({});
        break;
      }
      machine_.open();
      answer_holds(fail(Code::refused, "sessions cannot follow a handover: " + unmovable_text()));
      release_parked();
      break;
    case HoldMachine::Change::over_budget:
      log::warn("{}: hold released, {} still in flight at the end of its budget", settings_.resource, in_flight_);
      answer_holds(fail(Code::timeout, fmt::format("{} still in flight when the budget ended; released", in_flight_)));
      release_parked();
      break;
    case HoldMachine::Change::lapsed:
      log::warn("{}: the lease of the hold lapsed, released to {}", settings_.resource, state_.table.current.id);
      answer_holds(fail(Code::timeout, "the lease ended before the work in flight did; released"));
      release_parked();
      break;
  }
  arm_timer();
}

void GateImpl::arm_timer() {
  if (!timer_) return;
  const auto at = machine_.wake_at();
  if (!at) {
    timer_->cancel();
    return;
  }
  timer_->expires_at(*at);
  // Cancelled, and so never run, before `this` dies: close() destroys the timer on the gateway's own thread.
  timer_->async_wait([this](const boost::system::error_code& error) {
    if (!error) advance();
  });
}

void GateImpl::answer_holds(const Result<void>& result) {
  auto waiting = std::move(hold_done_);
  hold_done_.clear();
  for (auto& done : waiting) done(result);
}

Result<void> GateImpl::seal(std::uint64_t term, std::uint64_t next_epoch) {
  FS_CHECK(check_term(term, next_epoch));
  advance();
  FS_CHECK(machine_.seal(next_epoch, std::chrono::steady_clock::now()));
  raise_term(term);
  arm_timer();
  return {};
}

void GateImpl::unseal() {
  machine_.unseal();
  advance();
}

Result<GateState> GateImpl::propose_release(std::uint64_t term, std::uint64_t next_epoch) const {
  FS_CHECK(check_term(term, next_epoch));
  auto trial = machine_;
  FS_CHECK(trial.release(next_epoch));
  auto next = state();
  next.term = std::max(next.term, term);
  next.hold.reset();
  next.seal.reset();
  return next;
}

void GateImpl::release(std::uint64_t term, std::uint64_t next_epoch) {
  raise_term(term);
  if (!machine_.parks() || !machine_.release(next_epoch)) return;
  arm_timer();
  answer_holds(fail(Code::refused, "released meanwhile"));
  release_parked();
}

GateState GateImpl::state() const {
  auto state = state_;
  if (machine_.state() == HoldState::sealed) {
    state.seal = SealRecord{machine_.next_epoch(), machine_.park_max()};
  } else if (machine_.parks()) {
    state.hold = HeldRecord{machine_.next_epoch(), machine_.lease_left(std::chrono::steady_clock::now())};
  }
  return state;
}

GatewayReport GateImpl::report() const {
  GatewayReport report;
  report.resource = settings_.resource;
  report.epoch = state_.table.epoch;
  report.version = state_.table.version;
  report.hold = machine_.state();
  report.sessions = sessions_;
  report.in_flight = in_flight_;
  report.parked = static_cast<int>(parked_.size());
  for (const auto& [reason, sessions] : unmovable_) report.unmovable.push_back({reason, sessions});
  report.segments = stats_;
  const auto& unmatched = stats_.back();
  if (unmatched.current.requests == 0 && unmatched.other.requests == 0 && unmatched.refused == 0)
    report.segments.pop_back();
  return report;
}

void GateImpl::close() {
  if (closed_) return;
  closed_ = true;
  timer_.reset();
  answer_holds(fail(Code::cancelled, "the gateway is stopping"));
  for (auto* waiter : parked_) waiter->timer.cancel();
}

}  // namespace foreshadow::proxy
