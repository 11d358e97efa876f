// What a gate must not forget when its process is killed.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "base/result.hpp"
#include "base/time.hpp"
#include "domain/route_table.hpp"

namespace foreshadow::proxy {

// A hold is written down so that a person can see what was going on; it ends with the process that granted its lease.
struct HeldRecord {
  std::uint64_t next_epoch = 0;
  Millis lease_left{0};
  friend bool operator==(const HeldRecord&, const HeldRecord&) = default;
};

// A seal outlives the process: nothing goes to the old side until epoch `next_epoch` or a release.
struct SealRecord {
  std::uint64_t next_epoch = 0;
  Millis park_max{0};
  friend bool operator==(const SealRecord&, const SealRecord&) = default;
};

// What clients wait at a gateway that came back before its controller told it anything.
inline constexpr Millis kParkMaxBehind{5000};

// It may have missed a handover: nothing goes anywhere until a table of at least this epoch is applied. Of a gateway
// that was taken out of the path while it was down, or whose state file knows less than the others do.
struct BehindRecord {
  std::uint64_t epoch = 0;
  Millis park_max{0};
  friend bool operator==(const BehindRecord&, const BehindRecord&) = default;
};

struct GateState {
  RouteTable table;
  std::uint64_t term = 0;
  std::optional<HeldRecord> hold;
  std::optional<SealRecord> seal;
  std::optional<BehindRecord> behind;  // never together with a seal
  friend bool operator==(const GateState&, const GateState&) = default;
};

using GateStates = std::map<ResourceId, GateState>;

std::string encode_states(const GateStates& states);
// Strict. Errors: corrupt (not what encode_states writes), conflict (written by a newer version).
Result<GateStates> decode_states(std::string_view text);

}  // namespace foreshadow::proxy
