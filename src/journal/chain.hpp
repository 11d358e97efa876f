// The checksum that each record carries. It covers the record and the checksum before it, so that a changed, missing,
// repeated or exchanged record shows at its own place. CRC32C (Castagnoli; RFC 3720 section 12.1 has its test vectors):
// it is there to find accidents, not forgers.
#pragma once

#include <cstdint>
#include <string_view>

#include "journal/journal.hpp"

namespace foreshadow::journal {

std::uint32_t crc32c(std::string_view bytes, std::uint32_t so_far = 0);

// Of `record`, which follows one with checksum `before` (0 for the very first).
std::uint32_t chained_sum(std::uint32_t before, const Record& record);

}  // namespace foreshadow::journal
