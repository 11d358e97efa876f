#include "kinds/http/wire/max_forwards.hpp"

#include <charconv>
#include <limits>

namespace foreshadow::kinds::http {

std::optional<std::uint32_t> max_forwards(const RequestHead& head) {
  const bool bound = head.method == "OPTIONS" || head.method == "TRACE";
  const auto* field = bound ? find_field(head.fields, kMaxForwards) : nullptr;
  if (!field) return std::nullopt;
  const auto text = field->value;
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (end != text.data() + text.size() || error == std::errc::invalid_argument) return std::nullopt;
  return error == std::errc{} ? value : std::numeric_limits<std::uint32_t>::max();
}

}  // namespace foreshadow::kinds::http
