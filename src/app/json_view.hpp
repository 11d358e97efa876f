// JSON of another process's making, read for showing: whatever is missing or of another type is shown as absent, so
// that the answer of another version can still be read. Never throws.
#pragma once

#include <initializer_list>
#include <nlohmann/json_fwd.hpp>
#include <string>

namespace foreshadow::app {

// Null where any of the keys is missing.
const nlohmann::json& at_path(const nlohmann::json& j, std::initializer_list<const char*> keys);
template <class... Keys>
const nlohmann::json& at(const nlohmann::json& j, const Keys&... keys) {
  return at_path(j, {keys...});
}
// Harmless to a terminal. `otherwise` also where it is empty.
std::string text(const nlohmann::json& j, const char* otherwise = "-");
double number(const nlohmann::json& j);
bool yes(const nlohmann::json& j);

}  // namespace foreshadow::app
