// What the journal says without its controller: the state at a point, and the records after it.
#pragma once

#include <cstdint>
#include <limits>
#include <string>

#include "base/result.hpp"
#include "decide/state.hpp"
#include "journal/reader.hpp"

namespace foreshadow::app {

inline constexpr std::uint64_t kNewest = std::numeric_limits<std::uint64_t>::max();

// The state that decisions rested on after record `seq`: the newest image before it, and every later event replayed.
// Where the record is damaged, the state up to the damage (`damage` tells it). Errors: those of the reader, and invalid
// for an image of another version.
struct StateAt {
  decide::State state;
  std::uint64_t seq = 0;
  Time at;
  std::string damage;
};
Result<StateAt> state_at(journal::Reader& reader, std::uint64_t seq = kNewest);

// The wall clock, for the age of what is shown. Only for people; decisions have engine time.
Time wall_now();

// "10:11:12.345" in UTC, and with the day where that is not today's.
std::string clock_text(Time at);
std::string day_clock_text(Time at);

}  // namespace foreshadow::app
