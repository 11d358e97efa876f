#include "kinds/http/wire/max_forwards.hpp"

#include <charconv>
#include <limits>

#include "kinds/http/wire/text.hpp"

namespace foreshadow::kinds::http {
namespace {

constexpr std::string_view kName = "max-forwards";

bool is_bound(const RequestHead& head) { return head.method == "OPTIONS" || head.method == "TRACE"; }

}  // namespace

std::optional<std::uint32_t> max_forwards(const RequestHead& head) {
  const auto* field = is_bound(head) ? find_field(head.fields, kName) : nullptr;
  if (!field) return std::nullopt;
  const auto text = field->value;
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (end != text.data() + text.size() || error == std::errc::invalid_argument) return std::nullopt;
  return error == std::errc{} ? value : std::numeric_limits<std::uint32_t>::max();
}

bool is_max_forwards(const RequestHead& head, const Field& field) {
  return is_bound(head) && equals_lower(field.name, kName);
}

}  // namespace foreshadow::kinds::http
