// What a provisioner says while it works, fit to be shown: one line, printable, short.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace foreshadow::act {

std::string shown_line(std::string_view line);
// "downloading: 40% done" -> 0.4.
std::optional<double> percentage_in(std::string_view line);

}  // namespace foreshadow::act
