// What became of a prediction, and what was learnt from many of them.
#pragma once

#include <optional>
#include <string>

#include "domain/resource.hpp"

namespace foreshadow {

// confirmed: failed within the horizon it was predicted for. late: failed, but after it. refuted: watched to the end
// under comparable load and did not fail. censored: could not be observed, so it teaches nothing.
enum class Verdict { confirmed, refuted, late, censored };

struct Outcome {
  ResourceId resource;
  std::uint64_t epoch = 0;  // the epoch the handover began
  Time predicted_at;        // when the critical threshold was crossed
  double score = 0;
  Millis horizon{0};
  Time handover_ended_at;
  std::optional<Time> failed_at;  // the old primary's failure
  double load_ratio = 0;          // mirrored to live work while watching
  bool watched_out = false;       // watched for as long as the policy asks
  Verdict verdict = Verdict::censored;
  std::string why;
  friend bool operator==(const Outcome&, const Outcome&) = default;
};

// learn -> decide: the thresholds in force, moved only inside the operator's bounds.
struct Tuning {
  ResourceId resource;
  double shadowing_threshold = 0.5;
  double critical_threshold = 0.8;
  int resolved = 0;  // outcomes it rests on (censored ones do not count)
  int resolved_at_move = 0;  // how many there were when a threshold last moved
  std::string why;
  friend bool operator==(const Tuning&, const Tuning&) = default;
};

}  // namespace foreshadow
