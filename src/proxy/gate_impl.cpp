#include "proxy/gate_impl.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/post.hpp>

#include "base/assert.hpp"
#include "base/log.hpp"
#include "proxy/waiter.hpp"
#include "proxy/wake.hpp"

namespace foreshadow::proxy {

namespace asio = boost::asio;

GateImpl::GateImpl(asio::any_io_executor executor, GateSettings settings, std::optional<GateState> booted)
    : executor_(std::move(executor)),
      settings_(std::move(settings)),
      random_(settings_.seed),
      timer_(executor_),
      retry_(executor_),
      pace_(executor_),
      stats_(settings_.segments) {
  // Whoever fails to connect waits, and nobody else need find out.
  if (waits()) settings_.limits.breaker.consecutive = 1;
  if (booted) {
    raise_term(booted->term);
    install(booted->table);
    if (booted->seal) machine_.boot_sealed(booted->seal->next_epoch, booted->seal->park_max);
    if (booted->behind) machine_.boot_sealed(booted->behind->epoch, booted->behind->park_max);
    state_.behind = booted->behind;
    return;
  }
  RouteTable table;
  table.resource = settings_.resource;
  table.current = settings_.primary;
  install(table);
}

GateImpl::~GateImpl() { close(); }

Lane& GateImpl::lane_for(const Instance& instance, bool is_current) {
  const auto same = [&](const Lane& lane) {
    return lane.instance->id == instance.id && lane.instance->endpoint == instance.endpoint;
  };
  const auto& circuit = is_current ? settings_.limits.breaker : settings_.limits.outlier;
  auto found = std::ranges::find_if(lanes_, same);
  if (found == lanes_.end()) found = lanes_.emplace(lanes_.end(), nullptr, circuit);
  // What it did on the one side is no measure for the other.
  else if (found->is_current != is_current)
    found->circuit = Circuit(circuit);
  // Attributes may be others.
  if (!found->instance || *found->instance != instance) found->instance = std::make_shared<const Instance>(instance);
  found->in_table = true;
  found->is_current = is_current;
  return *found;
}

void GateImpl::sweep_lanes() {
  std::erase_if(lanes_, [](const Lane& lane) { return !lane.in_table && lane.busy == 0 && lane.queue.empty(); });
}

void GateImpl::install(const RouteTable& table) {
  state_.table = table;
  raise_term(table.term);
  for (auto& lane : lanes_) lane.in_table = false;
  const auto* current_before = current_;
  current_ = &lane_for(table.current, true);
  const auto* before = other_;
  other_ = table.other ? &lane_for(*table.other, false) : nullptr;
  // What another shadow would have done is no longer of interest.
  if (other_ != before) stats_.tried(true);
  routes_.assign(settings_.segments.size() + 1, {});
  for (std::size_t i = 0; i < settings_.segments.size(); ++i)
    for (const auto& route : table.routes)
      if (route.segment == settings_.segments[i].id) routes_[i] = {route.other_weight, route.mirror};
  // Who waited for a side waits for what is that side now: above all, no write goes to one that was current.
  for (auto& lane : lanes_)
    if (const bool was_current = &lane == current_before; !lane.in_table || lane.is_current != was_current)
      for (auto left = lane.queue.size(); left > 0; --left) send_on(*lane.queue.front());
  sweep_lanes();
}

void GateImpl::raise_term(std::uint64_t term) { state_.term = std::max(state_.term, term); }

UnmovableMark GateImpl::unmovable(std::string reason) {
  ++unmovable_[reason];
  return make_unmovable_mark(std::move(reason));
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
  const bool opens = state_.behind && table.epoch >= state_.behind->epoch;
  if (admission == Admission::same && table.term == state_.term && !opens) return std::optional<GateState>{};
  next.table = table;
  next.term = std::max(next.term, table.term);
  if (admission == Admission::handover) {
    next.hold.reset();
    next.seal.reset();
  }
  if (opens) next.behind.reset();
  return std::optional<GateState>{std::move(next)};
}

bool GateImpl::put_in_place(const RouteTable& table) {
  const bool opens = state_.behind ? table.epoch >= state_.behind->epoch : table.epoch > state_.table.epoch;
  install(table);
  return opens && machine_.parks();
}

void GateImpl::open_up() {
  state_.behind.reset();
  // A lease may have lapsed meanwhile.
  if (!machine_.parks()) return;
  machine_.open();
  arm_timer();
  answer_holds(fail(Code::refused, fmt::format("epoch {} came into force meanwhile", state_.table.epoch)));
  const auto settler = settler_.lock();
  if (!settler) return release_parked();
  ++opening_;
  settler->turn(Settler::Turn::opening, stay([this] {
                  if (--opening_ == 0 && !machine_.parks()) release_parked();
                }));
}

Stay GateImpl::stay(std::function<void()> then) {
  return {alive_.get(),  // something to point at: a stay that was given back is null
          [executor = executor_, alive = std::weak_ptr<char>(alive_), then = std::move(then)](void*) {
            if (alive.expired()) return;
            asio::post(executor, [alive, then] {
              if (alive.lock()) then();
            });
          }};
}

void GateImpl::settle() {
  const auto settler = settler_.lock();
  settling_ = settler ? Settling::busy : Settling::done;
  if (!settler) return;
  settler->turn(Settler::Turn::drained, stay([this, hold = holds_] {
                  if (hold != holds_ || settling_ != Settling::busy) return;
                  settling_ = Settling::done;
                  advance();
                }));
}

void GateImpl::hear_out(std::function<void()> then) {
  const auto settler = settler_.lock();
  if (!settler) return then();
  settler->turn(Settler::Turn::sealed, stay(std::move(then)));
}

Result<void> GateImpl::check_term(std::uint64_t term, std::uint64_t next_epoch) const {
  if (term < state_.term)
    return fail(Code::conflict, fmt::format("term {} is over: {} has been here", term, state_.term));
  if (next_epoch <= state_.table.epoch)
    return fail(Code::conflict,
                fmt::format("epoch {} is in force, so {} cannot be next", state_.table.epoch, next_epoch));
  return {};
}

Result<void> GateImpl::check_abreast() const {
  if (!state_.behind) return {};
  return fail(Code::refused,
              fmt::format("it has been away and waits for a table of epoch {} or later", state_.behind->epoch));
}

std::string GateImpl::unmovable_text() const {
  std::string text;
  for (const auto& [reason, sessions] : unmovable_)
    text += fmt::format("{}{} ({})", text.empty() ? "" : ", ", reason, sessions);
  return text;
}

Result<void> GateImpl::hold(std::uint64_t term, std::uint64_t next_epoch, const HoldPolicy& policy, HoldDone done,
                            HoldMachine::Now from, InFlight in_flight) {
  if (closed_) return fail(Code::cancelled, "the gateway is stopping");
  FS_CHECK(check_term(term, next_epoch));
  FS_CHECK(check_abreast());
  const bool abandons = in_flight == InFlight::abandoned;
  if (!abandons && !unmovable_.empty() && machine_.state() != HoldState::sealed)
    return fail(Code::refused, "sessions cannot follow a handover: " + unmovable_text());
  // A lapse not yet acted on must not be renewed as if the hold had lasted.
  advance();
  const bool renewed = machine_.parks();
  FS_CHECK(machine_.begin(next_epoch, policy, from));
  abandons_ = abandons;
  if (!renewed) {
    hold_waits_ = HoldWaits{.next_epoch = next_epoch};
    held_from_ = from;
    ++holds_;
    settling_ = Settling::not_yet;
  }
  raise_term(term);
  park_queued();
  if (machine_.state() != HoldState::holding) {
    arm_timer();
    done({});
    return {};
  }
  hold_done_.push_back(std::move(done));
  advance();
  return {};
}

void GateImpl::give_up_hold(std::uint64_t next_epoch) {
  const bool holds = machine_.state() == HoldState::holding || machine_.state() == HoldState::held;
  if (!holds || machine_.next_epoch() != next_epoch) return;
  machine_.open();
  arm_timer();
  answer_holds(fail(Code::refused, "it could not be held everywhere; released"));
  release_parked();
}

void GateImpl::advance() {
  // A side that is given up answers nothing any more, so there is nothing to settle with it.
  if (!abandons_ && machine_.state() == HoldState::holding && writing_ == 0 && settling_ == Settling::not_yet) settle();
  const bool settling = settling_ == Settling::busy;
  switch (machine_.advance(std::chrono::steady_clock::now(), abandons_ ? 0 : writing_ + (settling ? 1 : 0))) {
    case HoldMachine::Change::none:
      break;
    case HoldMachine::Change::drained:
      hold_waits_->drained_in_us = static_cast<std::uint64_t>(
          std::chrono::duration_cast<Micros>(std::chrono::steady_clock::now() - held_from_).count());
      // One may have become unmovable in the work that was in flight when the hold began.
      if (abandons_ || unmovable_.empty()) {
        answer_holds({});
        break;
      }
      machine_.open();
      answer_holds(fail(Code::refused, "sessions cannot follow a handover: " + unmovable_text()));
      release_parked();
      break;
    case HoldMachine::Change::over_budget:
      log::warn("{}: hold released, {} still in flight at the end of its budget{}", settings_.resource, writing_,
                settling ? ", and sessions had not settled" : "");
      answer_holds(fail(Code::timeout, fmt::format("{} still in flight when the budget ended{}; released", writing_,
                                                   settling ? ", and sessions had not settled" : "")));
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
  FS_CHECK(check_abreast());
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
  auto next = state();
  next.term = std::max(next.term, term);
  // It was not there to be held. That the others are released does not tell it who serves.
  if (state_.behind) return next;
  auto trial = machine_;
  FS_CHECK(trial.release(next_epoch));
  next.hold.reset();
  next.seal.reset();
  return next;
}

void GateImpl::release(std::uint64_t term, std::uint64_t next_epoch) {
  raise_term(term);
  if (state_.behind || !machine_.parks() || !machine_.release(next_epoch)) return;
  arm_timer();
  answer_holds(fail(Code::refused, "released meanwhile"));
  release_parked();
}

GateState GateImpl::state() const {
  auto state = state_;
  if (state_.behind) return state;
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
  report.segments = stats_.report();
  report.hold_waits = hold_waits_;
  for (const auto* lane : {current_, other_})
    if (lane)
      report.instances.push_back({lane->instance->id, lane->busy, static_cast<int>(lane->queue.size()), lane->waited,
                                  lane->wait, lane->circuit.state(std::chrono::steady_clock::now()),
                                  lane->circuit.opened(), lane->circuit.why()});
  return report;
}

void GateImpl::close() {
  if (closed_) return;
  closed_ = true;
  timer_.reset();
  retry_.reset();
  pace_.reset();
  answer_holds(fail(Code::cancelled, "the gateway is stopping"));
  for (auto* waiter : parked_) wake(waiter->timer);
  for (auto& lane : lanes_)
    for (auto* waiter : lane.queue) wake(waiter->timer);
}

}  // namespace foreshadow::proxy
