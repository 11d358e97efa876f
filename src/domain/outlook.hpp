// foresee -> decide: how likely this resource degrades past a limit or objective within each horizon, and why.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "domain/resource.hpp"

namespace foreshadow {

// P(first crossing within `horizon`), with the band that trend uncertainty leaves.
struct HorizonScore {
  Millis horizon{0};
  double score = 0;
  double low = 0;
  double high = 1;
  friend bool operator==(const HorizonScore&, const HorizonScore&) = default;
};

// One signal's part in the score, as a claim that can be refuted.
struct Reason {
  std::string signal;
  double score = 0;  // its own first-passage probability at the longest horizon
  double value = 0;
  double limit = 0;
  std::optional<Millis> time_to_limit;  // median first passage; absent when not approaching
  std::string text;                     // "resident memory 61.2 MiB rises 1.9 MiB/s; reaches 96 MiB in 18 s"
  friend bool operator==(const Reason&, const Reason&) = default;
};

enum class Helps { yes, no, unknown };

struct Outlook {
  ResourceId resource;
  Time at;
  // False: too little fresh data to say anything; scores are then meaningless and no decision may rest on them.
  bool known = false;
  std::vector<HorizonScore> scores;  // ascending horizons, non-decreasing scores
  std::vector<Reason> reasons;       // most important first
  double drift = 0;                  // 0 as usual .. 1 nothing like the baseline
  // Would a handover help? `no` when the shadow suffers under the same work: the cause is the workload.
  Helps handover_helps = Helps::unknown;
  // The limit or objective is crossed already.
  bool degraded = false;
  std::optional<Millis> time_to_limit;  // earliest median first passage over the signals
  friend bool operator==(const Outlook&, const Outlook&) = default;

  // Score at the smallest horizon >= `wanted`, else at the longest. Zero if there are none.
  double score_within(Millis wanted) const {
    for (const auto& s : scores)
      if (s.horizon >= wanted) return s.score;
    return scores.empty() ? 0 : scores.back().score;
  }
};

}  // namespace foreshadow
