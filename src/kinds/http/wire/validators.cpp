#include "kinds/http/wire/validators.hpp"

#include <limits>

#include "kinds/http/wire/framing.hpp"
#include "kinds/http/wire/text.hpp"

namespace foreshadow::kinds::http {

namespace {
// RFC 9110, section 8.8.3: etagc.
bool is_tag_char(char c) {
  const auto u = static_cast<unsigned char>(c);
  return u == 0x21 || (u >= 0x23 && u != 0x7f);
}
}  // namespace

std::optional<std::string_view> single_field(const std::vector<Field>& fields, std::string_view lower_name) {
  std::string_view value;
  bool found = false;
  for (const auto& field : fields) {
    if (!equals_lower(field.name, lower_name)) continue;
    if (found) return std::nullopt;
    found = true;
    value = field.value;
  }
  return value;
}

std::string_view strong_etag(const std::vector<Field>& fields) {
  const auto value = single_field(fields, "etag");
  if (!value || value->size() < 2 || value->front() != '"' || value->back() != '"') return {};
  for (const char c : value->substr(1, value->size() - 2))
    if (!is_tag_char(c)) return {};
  return *value;
}

std::optional<ContentRange> parse_content_range(std::string_view value) {
  constexpr std::string_view unit = "bytes ";
  if (value.size() <= unit.size() || !equals_lower(value.substr(0, unit.size()), unit)) return std::nullopt;
  value.remove_prefix(unit.size());
  const auto dash = value.find('-');
  const auto slash = value.find('/');
  if (dash == std::string_view::npos || slash == std::string_view::npos || slash < dash) return std::nullopt;
  ContentRange range;
  if (!parse_length(value.substr(0, dash), range.first) ||
      !parse_length(value.substr(dash + 1, slash - dash - 1), range.last) ||
      !parse_length(value.substr(slash + 1), range.complete))
    return std::nullopt;
  if (range.first > range.last || range.last >= range.complete) return std::nullopt;
  return range;
}

std::uint64_t age_seconds(const std::vector<Field>& fields) {
  const auto value = single_field(fields, "age");
  std::uint64_t seconds = 0;
  if (value && value->empty() && !find_field(fields, "age")) return 0;
  if (!value || !parse_length(*value, seconds)) return std::numeric_limits<std::uint64_t>::max();
  return seconds;
}

}  // namespace foreshadow::kinds::http
