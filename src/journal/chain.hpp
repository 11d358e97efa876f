// The checksum that each record carries. It covers the record and the checksum before it, so that a changed, missing,
// repeated or exchanged record shows at its own place.
#pragma once

#include <cstdint>

#include "base/crc32c.hpp"
#include "journal/journal.hpp"

namespace foreshadow::journal {

// Of `record`, which follows one with checksum `before` (0 for the very first).
std::uint32_t chained_sum(std::uint32_t before, const Record& record);

}  // namespace foreshadow::journal
