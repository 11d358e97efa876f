// Two gateways in front of one resource, and one of them killed after every journaled step of a handover in turn: back
// at once, back late, never, or taken out of the path by an operator. Every invariant is held at every act, clients of
// the other gateway are served in the end, and a gateway that comes back is told who serves.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace foreshadow::sim {

struct PairReport {
  int runs = 0;
  int handed_over = 0;              // runs in which the handover was done in the end
  std::vector<std::string> broken;  // one line a run in which something did not hold
};

// `seed`: of the world's own chance, which is how long each effect takes.
PairReport run_pair(std::uint64_t seed);

}  // namespace foreshadow::sim
