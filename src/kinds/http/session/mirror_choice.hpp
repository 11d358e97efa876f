// Whether one request that the gate would have mirrored is, under the trial that keeps the mirror harmless, and how the
// primary did with it, which the trial is told.
#pragma once

#include <memory>
#include <optional>

#include "kinds/http/trial/trial.hpp"
#include "proxy/gate.hpp"

namespace foreshadow::kinds::http {

// Not movable. What ends without finished() tells the trial nothing.
class MirrorChoice {
 public:
  MirrorChoice() = default;
  ~MirrorChoice() { forget(); }
  MirrorChoice(const MirrorChoice&) = delete;
  MirrorChoice& operator=(const MirrorChoice&) = delete;

  // The shadow that gets a copy, or null. `trial`: null if there is none; shared, because a session may outlive the
  // protocol at the very end.
  std::shared_ptr<const Instance> choose(const std::shared_ptr<MirrorTrial>& trial, proxy::Gate& gate,
                                         const proxy::Pass& pass, MirrorTrial::Steady::time_point received_at) {
    forget();
    if (!pass.mirror() || !trial) return pass.mirror();
    trial_ = trial;
    ticket_ = trial_->admit(pass.segment(), received_at);
    if (ticket_.fate == MirrorTrial::Ticket::Fate::mirrored) return pass.mirror();
    if (ticket_.fate == MirrorTrial::Ticket::Fate::throttled) gate.mirrored(pass.segment(), {.dropped = true});
    return nullptr;
  }
  void finished(bool ok, proxy::Micros took) {
    if (trial_) trial_->finish(ticket_, ok, took);
    trial_.reset();
  }
  // Its client gave up, which says nothing of the primary.
  void forget() {
    if (trial_) trial_->forget(ticket_);
    trial_.reset();
  }

 private:
  std::shared_ptr<MirrorTrial> trial_;  // null: nothing to tell
  MirrorTrial::Ticket ticket_;
};

}  // namespace foreshadow::kinds::http
