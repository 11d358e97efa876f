#include "app/json_view.hpp"

#include <nlohmann/json.hpp>

#include "app/terminal.hpp"

namespace foreshadow::app {

using nlohmann::json;

const json& at_path(const json& j, std::initializer_list<const char*> keys) {
  static const json nothing;
  const json* node = &j;
  for (const auto* key : keys) {
    const auto found = node->is_object() ? node->find(key) : node->end();
    node = node->is_object() && found != node->end() ? &*found : &nothing;
  }
  return *node;
}

std::string text(const json& j, const char* otherwise) {
  return j.is_string() && !j.get_ref<const std::string&>().empty() ? harmless(j.get<std::string>()) : otherwise;
}
double number(const json& j) { return j.is_number() ? j.get<double>() : 0; }
bool yes(const json& j) { return j.is_boolean() && j.get<bool>(); }

}  // namespace foreshadow::app
