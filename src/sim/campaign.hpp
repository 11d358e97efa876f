// Many seeded runs: `foreshadow sim --seeds A..B`. A failing seed is printed with the command that replays it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/result.hpp"
#include "sim/chance.hpp"

namespace foreshadow::sim {

struct CampaignSettings {
  std::uint64_t from = 1;
  std::uint64_t to = 1000;      // inclusive
  std::optional<Mode> mode;     // absent: both, by turns of the seed
  int jobs = 2;                 // threads
  bool trace = false;           // print what happened; meant for one seed
  bool twice = false;           // run each seed twice and compare: finds hidden state
  int failures_max = 5;         // stop after so many
};

// "A..B" or "A". Error: invalid.
Result<CampaignSettings> parse_seeds(const std::string& text);

// Prints progress to standard error and the summary to standard output. Returns 0 when every invariant held in every run.
int run_campaign(const CampaignSettings& settings);

}  // namespace foreshadow::sim
