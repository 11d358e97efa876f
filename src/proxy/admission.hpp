// May this route table replace that one? The rules of versioned, compare-and-set routing in one pure function, so that
// they can be read and tested in one place.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "domain/route_table.hpp"

namespace foreshadow::proxy {

enum class Admission {
  same,     // already in force: a repeated command, answered as a success
  update,   // another version within the epoch; a hold goes on
  handover  // a higher epoch: a hold or a seal ends
};

// What a gate is when a table is proposed to it.
struct Standing {
  const RouteTable& table;
  std::uint64_t term = 0;  // highest ever seen, not only that of the table
  std::optional<std::uint64_t> sealed_for;
  const std::vector<Segment>& segments;
};

// Errors: invalid (no current instance, weights out of [0, 1], a segment that is not ours, a shadow equal to the
// primary), conflict (a lower epoch or term, a version not above ours, sealed for a higher epoch).
Result<Admission> admit(const Standing& standing, const RouteTable& proposed);

}  // namespace foreshadow::proxy
