// Why did it act? The story of one action from the journal alone: what was foreseen, with its numbers; the thresholds
// then in force; the guardrails that were asked; every step with its result and its time; what became of the
// prediction.
//
// The guardrails' standing is not recorded: it is had again by replaying the decision on the state it was made on.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "decide/state.hpp"
#include "journal/reader.hpp"

namespace foreshadow::app {

// One thing decided and done, and its answer.
struct Step {
  std::uint64_t seq = 0;
  Time at;
  Effect effect;
  std::optional<EffectDone> done;
  Time done_at;
};

// A moment of decision: the state it was made on, just after the event that caused it.
struct Decision {
  std::string question;  // "a shadow", "the handover"
  Time at;
  std::string why;  // as decide gave it
  decide::Lifecycle lifecycle;
  bool paused = false;
  std::string frozen_why;
};

struct Story {
  ResourceId resource;
  std::vector<Decision> decisions;
  std::vector<Step> steps;  // steers and pages among them
  std::vector<std::pair<Time, Command>> commands;
  std::vector<HoldFelt> holds;  // of its handover, by each gateway that felt one, newest attempt last
  std::optional<Outcome> outcome;
  std::optional<Tuning> tuning;
  // Nothing was done: what would be, and what is in the way.
  std::vector<std::string> now;
};

// `target`: a resource's name, an effect's number, or empty for the newest action of all. Errors: invalid (no such
// resource or action), and those of the reader.
Result<Story> tell_story(journal::Reader& reader, const std::string& target);

}  // namespace foreshadow::app
