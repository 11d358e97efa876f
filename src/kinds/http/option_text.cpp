#include "kinds/http/option_text.hpp"

#include <fmt/format.h>

#include <charconv>

#include "base/units.hpp"

namespace foreshadow::kinds::http {
namespace {
// At most what a person would mean; a typing error must not become a deadline of days.
constexpr Millis kDurationMax{std::chrono::minutes{10}};
}  // namespace

Result<Millis> positive_duration(const std::string& text) {
  FS_TRY(value, parse_duration(text));
  if (value <= Millis{0} || value > kDurationMax) return fail(Code::invalid, "must lie between 1ms and 10m");
  return value;
}

Result<bool> parse_bool(const std::string& text) {
  if (text == "true" || text == "yes") return true;
  if (text == "false" || text == "no") return false;
  return fail(Code::invalid, "must be true or false");
}

Result<std::uint64_t> parse_count(const std::string& text, std::uint64_t min, std::uint64_t max) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value < min || value > max)
    return fail(Code::invalid, fmt::format("must be a number from {} to {}", min, max));
  return value;
}

}  // namespace foreshadow::kinds::http
