#include "kinds/http/option_text.hpp"

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

}  // namespace foreshadow::kinds::http
