// How work flows through a gate: to which instance, now or after waiting.
#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

#include "base/assert.hpp"
#include "base/log.hpp"
#include "proxy/gate_impl.hpp"
#include "proxy/sticky.hpp"
#include "proxy/waiter.hpp"

namespace foreshadow::proxy {

namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;

namespace {
// Work may last: a connection of the kind tcp does for hours.
constexpr Millis kReleasePace{10};

std::uint64_t micros_since(Clock::time_point then) {
  const auto took = std::chrono::duration_cast<Micros>(Clock::now() - then);
  return static_cast<std::uint64_t>(std::max<Micros::rep>(0, took.count()));
}

const char* name_of(Failure failure) {
  switch (failure) {
    case Failure::connect:
      return "no connection";
    case Failure::reset:
      return "a connection that ended before the answer";
    case Failure::timeout:
      return "no answer in time";
    case Failure::protocol:
      return "an answer that cannot be understood";
    case Failure::status_5xx:
      return "a status of 500 or above";
    case Failure::client_gone:
    case Failure::none:
    case Failure::other:
      break;
  }
  return "a failure";
}
}  // namespace

bool GateImpl::held_up(Work work) const {
  return parks() && (work == Work::write || machine_.parks_reads(Clock::now()));
}

bool GateImpl::comes_after_parked(Work work) const {
  return work == Work::write && !parked_.empty() && !machine_.parks() &&
         parked_.size() < static_cast<std::size_t>(settings_.parked_max);
}

bool GateImpl::has_place(const Lane& lane) const {
  const auto most = settings_.limits.at_once_max;
  return most == 0 || lane.busy < most;
}

bool GateImpl::has_room(const Lane& lane) const {
  return settings_.limits.at_once_max == 0 || (has_place(lane) && lane.queue.empty());
}

bool GateImpl::admits(Lane& lane) const {
  if (lane.circuit.closed()) return true;
  // Whoever waits for it is the first to try.
  return (!waits() || lane.queue.empty()) && lane.circuit.admits(Clock::now());
}

GateImpl::Choice GateImpl::choose(std::size_t segment, std::uint64_t sticky) {
  FS_ASSERT(segment < routes_.size());
  const auto& route = routes_[segment];
  if (!other_ || route.other_weight <= 0) return at_current(segment);
  const double point = sticky != 0 ? point_of(sticky) : random_.uniform();
  if (point >= route.other_weight) return at_current(segment);
  // Where there are copies to try a failing shadow with, no client need be the one who tries.
  auto& circuit = other_->circuit;
  const bool takes_work = circuit.closed() || (route.mirror <= 0 && has_room(*other_) && circuit.admits(Clock::now()));
  if (takes_work) return {other_, nullptr, Side::other};
  auto choice = at_current(segment);
  choice.diverted = true;
  return choice;
}

GateImpl::Choice GateImpl::at_current(std::size_t segment) {
  Choice choice{current_};
  const auto& route = routes_[segment];
  if (!other_ || route.mirror <= 0 || !random_.chance(route.mirror)) return choice;
  if (other_->circuit.closed() || other_->circuit.admits(Clock::now()))
    choice.mirror = other_->instance;
  else
    stats_.paused(segment);
  return choice;
}

Pass GateImpl::grant(Choice choice, std::size_t segment, Work work) {
  ++choice.lane->busy;
  ++in_flight_;
  if (work == Work::write)
    ++writing_;
  else if (machine_.parks())
    ++stats_.of(segment).flowed;
  if (choice.diverted) ++stats_.of(segment).diverted;
  return make_pass(
      {choice.lane->instance, std::move(choice.mirror), choice.lane, choice.side, work, segment, state_.table.epoch});
}

std::optional<Pass> GateImpl::try_enter(std::size_t segment, std::uint64_t sticky, Work work) {
  if (closed_ || held_up(work) || comes_after_parked(work) || !current_->circuit.closed() || !has_room(*current_))
    return std::nullopt;
  auto choice = choose(segment, sticky);
  if (!has_room(*choice.lane)) return std::nullopt;
  return grant(std::move(choice), segment, work);
}

asio::awaitable<Result<Pass>> GateImpl::enter(std::size_t segment, std::uint64_t sticky, Work work) {
  if (closed_) co_return fail(Code::cancelled, "the gateway is stopping");
  if (held_up(work) || comes_after_parked(work)) co_return co_await park(segment, sticky, work);
  auto choice = choose(segment, sticky);
  auto& lane = *choice.lane;
  const bool admitted = &lane != current_ || admits(lane);
  if (!admitted) {
    // In a hold its end may be what the old side's end is about.
    if (machine_.parks()) co_return co_await park(segment, sticky, work);
    if (!waits()) co_return tl::make_unexpected(refuse_for(lane, segment));
  }
  if (admitted && has_room(lane)) co_return grant(std::move(choice), segment, work);
  if (lane.queue.size() >= static_cast<std::size_t>(settings_.limits.queued_max)) {
    ++stats_.of(segment).refusals.queue_full;
    co_return fail(Code::refused,
                   fmt::format("the service is busy, and {} wait already; nothing was sent to it", lane.queue.size()));
  }
  co_return co_await wait(segment, sticky, work, &lane);
}

asio::awaitable<Result<Pass>> GateImpl::enter_again(std::size_t segment, std::uint64_t sticky) {
  ++stats_.of(segment).reentered;
  if (machine_.parks() && !closed_) return park(segment, sticky, Work::read);
  return enter(segment, sticky, Work::read);
}

asio::awaitable<Result<Pass>> GateImpl::park(std::size_t segment, std::uint64_t sticky, Work work) {
  if (parked_.size() >= static_cast<std::size_t>(settings_.parked_max)) {
    ++stats_.of(segment).refusals.parked_full;
    co_return fail(Code::refused, fmt::format("{} units of work wait already", parked_.size()));
  }
  co_return co_await wait(segment, sticky, work, nullptr);
}

asio::awaitable<Result<Pass>> GateImpl::wait(std::size_t segment, std::uint64_t sticky, Work work, Lane* lane) {
  Waiter waiter(executor_, segment, sticky, work);
  place(waiter, lane);
  for (;;) {
    waiter.moved = false;
    const auto [error] = co_await waiter.timer.async_wait(asio::as_tuple(asio::use_awaitable));
    // Even if the timer fired first: leave that was given must be used or returned.
    if (waiter.pass) co_return std::move(*waiter.pass);
    if (waiter.refused) co_return tl::make_unexpected(std::move(*waiter.refused));
    if (waiter.moved && !closed_) continue;
    if (error || closed_) co_return fail(Code::cancelled, "the gateway is stopping");
    auto& refusals = stats_.of(segment).refusals;
    if (waiter.lane && waiter.lane == current_ && !current_->circuit.closed()) {
      ++refusals.circuit_open;
      co_return fail(Code::timeout,
                     fmt::format("{} takes no connections; nothing was sent to it", current_->instance->id));
    }
    if (waiter.lane) {
      ++refusals.queued_too_long;
      co_return fail(Code::timeout, "the service was busy for too long; nothing was sent to it");
    }
    ++refusals.parked_too_long;
    if (state_.behind)
      co_return fail(Code::timeout, "this gateway waits to be told who serves after its absence; nothing was done");
    co_return fail(Code::timeout,
                   machine_.state() == HoldState::sealed
                       ? "a handover has closed the old side and the new one is not open yet; nothing was done"
                       : "a handover held this work for too long; nothing was done");
  }
}

void GateImpl::place(Waiter& waiter, Lane* lane) {
  waiter.unlink();
  waiter.in = lane ? &lane->queue : &parked_;
  waiter.at = waiter.in->insert(waiter.in->end(), &waiter);
  waiter.lane = lane;
  waiter.since = Clock::now();
  waiter.moved = true;
  if (!lane && !waiter.parked) waiter.parked = waiter.since;
  const bool unreachable = lane && lane == current_ && !lane->circuit.closed();
  const auto most = !lane         ? machine_.park_max()
                    : unreachable ? settings_.limits.unreachable_wait
                                  : settings_.limits.queue_timeout;
  waiter.timer.expires_at(waiter.since + most);
  if (unreachable) arm_retry();
}

void GateImpl::arm_retry() {
  if (!retry_) return;
  retry_->expires_at(current_->circuit.next_try());
  // Cancelled before `this` dies: close() destroys the timer on the gateway's own thread.
  retry_->async_wait([this](const boost::system::error_code& error) {
    if (!error) serve(*current_);
  });
}

void GateImpl::give(Waiter& waiter, Choice choice) {
  if (waiter.parked && hold_waits_) hold_waits_->waits.record(micros_since(*waiter.parked));
  if (waiter.lane == choice.lane) {
    ++choice.lane->waited;
    choice.lane->wait.record(micros_since(waiter.since));
  }
  waiter.unlink();
  waiter.pass = grant(std::move(choice), waiter.segment, waiter.work);
  waiter.timer.cancel();
}

Error GateImpl::refuse_for(const Lane& lane, std::size_t segment) {
  ++stats_.of(segment).refusals.circuit_open;
  return {Code::refused, fmt::format("{} takes no connections, and is left alone for a moment; nothing was sent to it",
                                     lane.instance->id)};
}

void GateImpl::refuse(Waiter& waiter, const Lane& lane) {
  waiter.unlink();
  waiter.refused = refuse_for(lane, waiter.segment);
  waiter.timer.cancel();
}

void GateImpl::send_on(Waiter& waiter) {
  if (held_up(waiter.work)) return place(waiter, nullptr);
  auto choice = choose(waiter.segment, waiter.sticky);
  auto& lane = *choice.lane;
  const bool admitted = &lane != current_ || admits(lane);
  if (!admitted && !waits()) {
    refuse(waiter, lane);
  } else if (admitted && has_room(lane)) {
    give(waiter, std::move(choice));
  } else {
    place(waiter, &lane);
  }
}

void GateImpl::serve(Lane& lane) {
  while (!lane.queue.empty() && has_place(lane)) {
    auto& waiter = *lane.queue.front();
    if (held_up(waiter.work))
      place(waiter, nullptr);
    else if (&lane == current_ && (lane.circuit.closed() || lane.circuit.admits(Clock::now())))
      give(waiter, at_current(waiter.segment));
    else if (&lane == current_ && waits())
      return arm_retry();
    else if (&lane == current_)
      refuse(waiter, lane);
    else if (&lane == other_ && lane.circuit.closed())
      give(waiter, {other_, nullptr, Side::other});
    else
      send_on(waiter);
  }
}

void GateImpl::release_parked() {
  FS_ASSERT(!machine_.parks());
  if (opening_ > 0) return;
  release_window_ = in_flight_ + settings_.limits.release_concurrency;
  release_more();
  if (parked_.empty() || !pace_) return;
  pace_->expires_after(kReleasePace);
  // Cancelled before `this` dies: close() destroys the timer on the gateway's own thread.
  pace_->async_wait([this](const boost::system::error_code& error) {
    if (!error && !parks()) release_parked();
  });
}

void GateImpl::release_more() {
  while (!parked_.empty() && in_flight_ < release_window_) send_on(*parked_.front());
}

// They came before everybody who will be parked from now on.
void GateImpl::park_queued() {
  for (auto& lane : lanes_)
    for (auto at = lane.queue.begin(); at != lane.queue.end();) {
      auto& waiter = **at++;
      if (held_up(waiter.work)) place(waiter, nullptr);
    }
}

void GateImpl::feed(Lane& lane, bool ok, const char* why) {
  if (ok) {
    if (!lane.circuit.succeeded()) return;
    log::info("{}: {} is given work again", settings_.resource, lane.instance->id);
    if (!lane.is_current) stats_.tried(true);
    if (lane.is_current && !lane.queue.empty()) serve(lane);
    return;
  }
  if (!lane.circuit.failed(Clock::now(), random_.uniform(), why)) return;
  log::warn("{}: {} is left alone for a while: {}", settings_.resource, lane.instance->id, lane.circuit.why());
  if (!lane.is_current) stats_.tried(false);
  if (lane.is_current && waits()) {
    if (!lane.queue.empty()) arm_retry();
    return;
  }
  // The current side's are refused, all others can go there.
  while (!lane.queue.empty()) {
    auto& waiter = *lane.queue.front();
    if (lane.is_current)
      refuse(waiter, lane);
    else
      send_on(waiter);
  }
}

void GateImpl::mirrored(std::size_t segment, const MirrorResult& result) {
  stats_.mirrored(segment, result);
  if (other_ && other_->instance->id == result.shadow && !(result.error && result.primary_failed))
    feed(*other_, !result.error, "a copy of a request without a good answer");
}

void GateImpl::finished(Pass& pass, Failure failure, Micros took) {
  // Work that outlived its epoch (no hold drained it) counts for the instance that did it, whichever side that is now.
  const bool current =
      pass.epoch() == state_.table.epoch ? pass.side() == Side::current : pass.target().id == state_.table.current.id;
  stats_.finished(pass.segment(), current ? Side::current : Side::other, failure, took);
  auto& lane = *lane_of(pass);
  if (failure == Failure::client_gone) return;
  const bool ok = failure == Failure::none || (lane.is_current && failure != Failure::connect);
  feed(lane, ok, name_of(failure));
}

void GateImpl::given_back(Pass& pass, Failure why) {
  // A side that a hold is about to replace is not watched for that.
  if (why == Failure::connect && waits() && !machine_.parks()) feed(*lane_of(pass), false, name_of(why));
}

void GateImpl::leave(Pass& pass) {
  if (!is_finished(pass)) stats_.vanished(pass.segment(), pass.side());
  auto& lane = *lane_of(pass);
  --lane.busy;
  --in_flight_;
  if (!lane.queue.empty()) serve(lane);
  if (!parked_.empty() && !machine_.parks()) {
    ++release_window_;
    release_more();
  }
  if (!lane.in_table) sweep_lanes();
  if (pass.work() == Work::write && --writing_ == 0 && machine_.state() == HoldState::holding) advance();
}

}  // namespace foreshadow::proxy
