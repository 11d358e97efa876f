#include "base/units.hpp"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>

namespace foreshadow {
namespace {

struct Quantity {
  double number;
  std::string_view unit;
};

Result<Quantity> split(std::string_view text) {
  double number = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || !std::isfinite(number) || number < 0)
    return fail(Code::invalid, fmt::format("'{}' does not start with a number", text));
  auto unit = text.substr(static_cast<std::size_t>(rest - text.data()));
  while (!unit.empty() && unit.front() == ' ') unit.remove_prefix(1);
  return Quantity{number, unit};
}

}  // namespace

Result<Millis> parse_duration(std::string_view text) {
  FS_TRY(quantity, split(text));
  struct Unit {
    std::string_view name;
    double ms;
  };
  constexpr std::array<Unit, 5> units{{{"ms", 1}, {"s", 1e3}, {"m", 6e4}, {"h", 3.6e6}, {"d", 8.64e7}}};
  for (const auto& unit : units) {
    if (unit.name != quantity.unit) continue;
    const double ms = quantity.number * unit.ms;
    if (ms > 1e14) return fail(Code::invalid, fmt::format("'{}' is longer than any duration used here", text));
    return Millis{std::llround(ms)};
  }
  return fail(Code::invalid, fmt::format("'{}' is not a duration: write a number and one of ms, s, m, h, d", text));
}

Result<std::uint64_t> parse_bytes(std::string_view text) {
  FS_TRY(quantity, split(text));
  struct Unit {
    std::string_view name;
    double bytes;
  };
  constexpr std::array<Unit, 11> units{{{"", 1}, {"B", 1}, {"KB", 1e3}, {"kB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12},
                                        {"KiB", 0x1p10}, {"MiB", 0x1p20}, {"GiB", 0x1p30}, {"TiB", 0x1p40}}};
  for (const auto& unit : units) {
    if (unit.name != quantity.unit) continue;
    const double bytes = quantity.number * unit.bytes;
    if (bytes > 0x1p62) return fail(Code::invalid, fmt::format("'{}' is larger than any size used here", text));
    return static_cast<std::uint64_t>(bytes);
  }
  return fail(Code::invalid, fmt::format("'{}' is not a size: write a number and one of B, KiB, MiB, GiB, KB, MB, GB", text));
}

Result<double> parse_fraction(std::string_view text) {
  FS_TRY(quantity, split(text));
  const double value = quantity.unit == "%" ? quantity.number / 100 : quantity.number;
  if ((!quantity.unit.empty() && quantity.unit != "%") || value > 1)
    return fail(Code::invalid, fmt::format("'{}' is not a fraction: write 0 to 1, or 0% to 100%", text));
  return value;
}

std::string format_duration(Millis duration) {
  const double s = to_seconds(duration);
  if (std::abs(s) < 1) return fmt::format("{}ms", duration.count());
  if (std::abs(s) < 120) return fmt::format("{:.1f}s", s);
  if (std::abs(s) < 7200) return fmt::format("{:.0f}m{:02.0f}s", std::floor(s / 60), std::fmod(s, 60));
  return fmt::format("{:.1f}h", s / 3600);
}

std::string format_bytes(double bytes) {
  constexpr std::array<const char*, 5> units{"B", "KiB", "MiB", "GiB", "TiB"};
  std::size_t unit = 0;
  while (std::abs(bytes) >= 1024 && unit + 1 < units.size()) {
    bytes /= 1024;
    ++unit;
  }
  return unit == 0 ? fmt::format("{:.0f} B", bytes) : fmt::format("{:.1f} {}", bytes, units[unit]);
}

}  // namespace foreshadow
