// CRC-32C (Castagnoli; RFC 3720 section 12.1 has its test vectors). It is there to find accidents, not forgers.
#pragma once

#include <cstdint>
#include <string_view>

namespace foreshadow {

// `so_far`: the sum of what came before, so that a whole may be summed in parts.
std::uint32_t crc32c(std::string_view bytes, std::uint32_t so_far = 0);

}  // namespace foreshadow
