// Runs a journal's events through `decide` again and compares the decisions with those that were taken. Equal decisions
// prove that the record explains them; a difference means newer code, or a hidden input.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "journal/reader.hpp"

namespace foreshadow::app {

struct ReplayReport {
  std::uint64_t events = 0;
  std::uint64_t decisions = 0;  // effects started
  std::uint64_t from_seq = 0, to_seq = 0;
  std::string damage;                    // where the record ends early, or empty
  std::vector<std::string> differences;  // at most twenty
};

// Errors: those of the reader.
Result<ReplayReport> replay(journal::Reader& reader);

}  // namespace foreshadow::app
