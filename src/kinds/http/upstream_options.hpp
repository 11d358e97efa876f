// The options about what instances are spoken to in.
#pragma once

#include <string>
#include <vector>

#include "kinds/http/h2client/settings.hpp"
#include "kinds/kind.hpp"

namespace foreshadow::kinds::http {

std::vector<OptionInfo> upstream_option_infos();
bool is_upstream_option(std::string_view name);
// Requires: is_upstream_option(name). Error: invalid, as the end of a sentence that begins with the value.
Result<void> set_upstream_option(h2client::Settings& settings, const std::string& name, const std::string& text);
// What only makes sense together. Error: invalid, naming the option.
Result<void> check_upstream_options(const h2client::Settings& settings, const Options& given);

}  // namespace foreshadow::kinds::http
