// The memory journal with two additions: it may kill the controller around any write, and it remembers which intents
// were durable when, so that the invariant "intent before act" can be checked.
#pragma once

#include <functional>
#include <optional>
#include <set>
#include <vector>

#include "journal/memory_journal.hpp"

namespace foreshadow::sim {

// Thrown out of the engine when the simulated controller is killed at this very instruction.
struct ControllerKilled {};

class WatchedJournal final : public journal::Journal {
 public:
  // `step`: after each intent, and each answer to one, that was written.
  explicit WatchedJournal(
      std::function<bool()> kill, std::function<void()> step = [] {})
      : kill_(std::move(kill)), step_(std::move(step)) {}

  Result<journal::Recovery> open() override {
    maybe_kill();
    inner_.emplace(disk_);
    return inner_->open();
  }
  Result<std::uint64_t> append(const Event& event, bool durable) override {
    maybe_kill();
    auto written = inner_->append(event, durable);
    if (written) {
      events_.push_back(event);
      settle(durable);
      if (std::holds_alternative<EffectDone>(event.body)) step_();
    }
    maybe_kill();
    return written;
  }
  Result<std::uint64_t> intend(const Effect& effect, Time at, bool durable) override {
    maybe_kill();
    auto written = inner_->intend(effect, at, durable);
    if (written) {
      fresh_intents_.insert(effect.id);
      settle(durable);
      step_();
    }
    maybe_kill();
    return written;
  }
  Result<void> snapshot(Time at, const std::string& image) override {
    auto written = inner_->snapshot(at, image);
    if (written) settle(true);
    return written;
  }
  Result<void> flush() override {
    maybe_kill();
    auto written = inner_->flush();
    if (written) settle(true);
    maybe_kill();
    return written;
  }
  bool healthy() const override { return inner_ && inner_->healthy(); }

  // What was not on disk is gone.
  void crash() {
    disk_.crash();
    inner_.reset();
    events_.resize(durable_events_);
    fresh_intents_.clear();
  }
  bool intent_is_durable(EffectId id) const { return durable_intents_.contains(id); }
  // Every event that survived, from the beginning of the world.
  const std::vector<Event>& events() const { return events_; }

 private:
  void maybe_kill() {
    if (kill_()) throw ControllerKilled{};
  }
  void settle(bool durable) {
    if (!durable) return;
    durable_events_ = events_.size();
    durable_intents_.merge(fresh_intents_);
    fresh_intents_.clear();
  }

  journal::MemoryDisk disk_;
  std::optional<journal::MemoryJournal> inner_;  // one a controller
  std::function<bool()> kill_;
  std::function<void()> step_;
  std::vector<Event> events_;
  std::size_t durable_events_ = 0;
  std::set<EffectId> durable_intents_;
  std::set<EffectId> fresh_intents_;
};

}  // namespace foreshadow::sim
