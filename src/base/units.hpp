// Quantities as people write them in configuration and read them in tables: "15s", "64MiB", "12.5%".
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "base/time.hpp"

namespace foreshadow {

// "250ms", "15s", "5m", "6h", "3d"; a bare number is refused, since its unit would be a guess.
Result<Millis> parse_duration(std::string_view text);
// "512", "64KiB", "2MB", "1.5GiB" in bytes; KiB is 1024, KB is 1000.
Result<std::uint64_t> parse_bytes(std::string_view text);
// "0.7" or "70%" as a fraction in [0, 1].
Result<double> parse_fraction(std::string_view text);

std::string format_duration(Millis duration);
std::string format_bytes(double bytes);

}  // namespace foreshadow
