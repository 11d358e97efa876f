#include "engine/engine.hpp"

#include <algorithm>
#include <utility>

#include "base/log.hpp"
#include "decide/state_json.hpp"
#include "learn/label.hpp"
#include "learn/thresholds.hpp"

namespace foreshadow::engine {

Engine::Engine(Clock& clock, journal::Journal& journal, Hands& hands, EngineSettings settings)
    : clock_(clock), journal_(journal), hands_(hands), settings_(std::move(settings)) {}

Result<void> Engine::start(const std::vector<PolicySet>& configured) {
  auto recovery = journal_.open();
  if (!recovery && recovery.error().code != Code::corrupt) return tl::make_unexpected(recovery.error());
  if (!recovery) {
    observe_only(recovery.error().what);
  } else {
    if (recovery->tail_cut) log::warn("the journal's last record was torn and has been cut off");
    if (recovery->snapshot) {
      auto image = decide::decode_state(*recovery->snapshot);
      if (!image && image.error().code == Code::invalid) return tl::make_unexpected(image.error());
      if (image) state_ = std::move(*image);
      else observe_only(image.error().what);
    }
    // Effects of the past are not started here: those that had not answered stand in the state.
    for (const auto& event : recovery->events) state_ = decide::step(std::move(state_), event).state;
    state_.now = std::max(state_.now, recovery->last_at);
    handle(Event{{}, "", Started{recovery->term, settings_.version}});
  }
  for (const auto& set : configured) {
    const auto known = state_.resources.find(set.resource.id);
    if (known != state_.resources.end() && known->second.resource == set.resource && known->second.policy == set.policy)
      continue;
    if (!observe_only_why_.empty()) state_ = decide::step(std::move(state_), Event{clock_.now(), set.resource.id, set}).state;
    else handle(Event{{}, set.resource.id, set});
  }
  learn_from_outcomes();
  snapshot();
  return {};
}

void Engine::handle(Event event) {
  event.at = std::max(clock_.now(), state_.now);
  if (!observe_only_why_.empty()) return show(event);
  take(event);
  if (observe_only_why_.empty()) learn_from_outcomes();
  ++since_snapshot_;
  if (image_is_due()) snapshot();
}

// An image costs several syncs, and in a handover clients are parked behind each of them.
bool Engine::image_is_due() const {
  const auto parked = [](const auto& entry) { return entry.second.phase == Phase::handing_over; };
  const bool wait = std::any_of(state_.resources.begin(), state_.resources.end(), parked);
  return since_snapshot_ >= settings_.snapshot_every * (wait ? 2 : 1);
}

void Engine::take(const Event& event) {
  // First, so that a crash can replay it. It reaches the disk together with the intents that it causes.
  if (auto written = journal_.append(event, false); !written) return cannot_write(written.error());
  bool durable = must_be_durable(event.body);
  auto next = decide::step(std::move(state_), event);
  state_ = std::move(next.state);
  for (const auto& effect : next.effects) {
    if (auto written = journal_.intend(effect, state_.now, false); !written) return cannot_write(written.error());
    // A page moves nothing and need not wait.
    durable = durable || !std::holds_alternative<Page>(effect.body);
  }
  // One sync for all of them, before the first of them starts. Should it fail, what is shown is a step ahead of the
  // disk, and nothing of that step was done.
  if (durable)
    if (auto flushed = journal_.flush(); !flushed) return cannot_write(flushed.error());
  for (const auto& effect : next.effects) hands_.start(effect);
  for (const auto id : next.cancellations) hands_.cancel(id);
}

void Engine::learn_from_outcomes() {
  for (const auto& [id, lifecycle] : state_.resources) {
    if (!lifecycle.unlabelled) continue;
    const auto outcome = learn::label(*lifecycle.unlabelled, lifecycle.policy.load_ratio_min);
    const ResourceId resource = id;
    take(Event{state_.now, resource, OutcomeRecorded{outcome}});
    if (!observe_only_why_.empty()) return;
    const auto& l = state_.resources.at(resource);
    const auto tuning = learn::tune(l.outcomes, l.tuning, l.policy.bounds);
    take(Event{state_.now, resource, Tuned{tuning}});
    // The map may have changed under us: one label at a time, the rest follow.
    return learn_from_outcomes();
  }
}

void Engine::tick() {
  if (!observe_only_why_.empty()) return;
  const auto now = std::max(clock_.now(), state_.now);
  if (const auto due = next_deadline(); due && *due <= now) handle(Event{now, "", Ticked{}});
}

void Engine::snapshot() {
  if (!observe_only_why_.empty()) return;
  if (auto written = journal_.snapshot(state_.now, decide::encode_state(state_)); !written)
    return cannot_write(written.error());
  since_snapshot_ = 0;
}

void Engine::cannot_write(const Error& error) { observe_only("the journal cannot be written: " + error.what); }

void Engine::observe_only(const std::string& why) {
  if (observe_only_why_.empty()) log::error("from now on this only observes: {}", why);
  observe_only_why_ = why;
  state_.frozen_why = why;
}

void Engine::show(const Event& event) {
  state_.now = event.at;
  const auto it = state_.resources.find(event.resource);
  if (it == state_.resources.end()) return;
  if (const auto* made = std::get_if<OutlookMade>(&event.body)) it->second.outlook = made->outlook;
}

}  // namespace foreshadow::engine
