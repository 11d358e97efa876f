#include "act/provision/progress_text.hpp"

#include <algorithm>

namespace foreshadow::act {

std::string shown_line(std::string_view line) {
  constexpr std::size_t kShown = 200;
  std::string shown(line.substr(0, kShown));
  // Escape sequences could repaint the terminal of whoever reads it. Other bytes are left: text encoders replace bad
  // ones.
  std::ranges::replace_if(shown, [](unsigned char c) { return c < 0x20 || c == 0x7f; }, ' ');
  return shown;
}

std::optional<double> percentage_in(std::string_view line) {
  const auto sign = line.find('%');
  if (sign == std::string_view::npos || sign == 0) return std::nullopt;
  auto begin = sign;
  while (begin > 0 && sign - begin < 3 && line[begin - 1] >= '0' && line[begin - 1] <= '9') --begin;
  if (begin == sign) return std::nullopt;
  int value = 0;
  for (auto i = begin; i < sign; ++i) value = value * 10 + (line[i] - '0');
  return std::min(value, 100) / 100.0;
}

}  // namespace foreshadow::act
