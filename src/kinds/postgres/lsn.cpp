#include "kinds/postgres/lsn.hpp"

#include <fmt/format.h>

#include <charconv>

namespace foreshadow::kinds::postgres {
namespace {

bool parse_half(std::string_view text, std::uint32_t& out) {
  if (text.empty() || text.size() > 8) return false;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out, 16);
  return error == std::errc{} && end == text.data() + text.size();
}

}  // namespace

std::string Lsn::text() const { return fmt::format("{:X}/{:X}", value >> 32, value & 0xffffffffU); }

Result<Lsn> parse_lsn(std::string_view text) {
  const auto slash = text.find('/');
  std::uint32_t high = 0;
  std::uint32_t low = 0;
  if (slash == std::string_view::npos || !parse_half(text.substr(0, slash), high) ||
      !parse_half(text.substr(slash + 1), low))
    return fail(Code::invalid, fmt::format("'{}' is not an LSN (like 16/B374D848)", text.substr(0, 40)));
  return Lsn{(static_cast<std::uint64_t>(high) << 32) | low};
}

}  // namespace foreshadow::kinds::postgres
