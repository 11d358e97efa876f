// The loop's heart: journals each event, steps the state, journals the intents of its effects, and starts them once all
// of that is on disk. Moves values between stages and decides nothing. One strand: whoever owns it calls it from one
// thread, or one simulated world.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "base/time.hpp"
#include "decide/step.hpp"
#include "engine/hands.hpp"
#include "journal/journal.hpp"

namespace foreshadow::engine {

struct EngineSettings {
  std::string version;
  // Events between State images, twice as many while a handover is under way; bounds the work of a recovery.
  int snapshot_every = 1000;
};

class Engine {
 public:
  Engine(Clock& clock, journal::Journal& journal, Hands& hands, EngineSettings settings);

  // Recovers from the journal, begins a new term, restarts what had not answered. Errors: conflict (another controller),
  // invalid (written by a newer version): do not go on. A damaged journal is no error: the engine then only observes.
  Result<void> start(const std::vector<PolicySet>& configured);

  // `event.at` is overwritten with engine time. After a journal failure nothing more is decided; outlooks are still shown.
  void handle(Event event);
  // Sends the Ticked event if one is due.
  void tick();
  // A State image now, for instance before a planned stop.
  void snapshot();

  std::optional<Time> next_deadline() const { return decide::next_deadline(state_); }
  const decide::State& state() const { return state_; }
  // Why nothing is done, or empty.
  const std::string& observe_only_why() const { return observe_only_why_; }

 private:
  void take(const Event& event);
  void learn_from_outcomes();
  bool image_is_due() const;
  void cannot_write(const Error& error);
  void observe_only(const std::string& why);
  void show(const Event& event);

  Clock& clock_;
  journal::Journal& journal_;
  Hands& hands_;
  EngineSettings settings_;
  decide::State state_;
  std::string observe_only_why_;
  int since_snapshot_ = 0;
};

}  // namespace foreshadow::engine
