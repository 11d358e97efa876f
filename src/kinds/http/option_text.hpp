// Values of options as people write them, read with the bounds that all options share.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.hpp"
#include "base/time.hpp"

namespace foreshadow::kinds::http {

// Errors: invalid, as the end of a sentence that begins with the value.
Result<Millis> positive_duration(const std::string& text);
Result<bool> parse_bool(const std::string& text);
Result<std::uint64_t> parse_count(const std::string& text, std::uint64_t min, std::uint64_t max);

}  // namespace foreshadow::kinds::http
