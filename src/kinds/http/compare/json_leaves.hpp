// A JSON text as the list of its values, each with the path of keys that leads to it: two texts are then compared field
// by field, whatever the order of their keys and their spacing. Pure; bounded in depth and in values.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kinds/http/compare/redact.hpp"

namespace foreshadow::kinds::http {

struct JsonLimits {
  std::size_t depth_max = 64;
  std::size_t leaves_max = 4096;
};

struct JsonLeaf {
  std::string at;     // "body.items[3].price"
  std::string field;  // what is counted: "body.items[].price", and '*' for keys that are ids
  std::string value;  // numbers in one form, so that 1 and 1.0 are equal; strings in quotes
  bool secret = false;
  friend bool operator==(const JsonLeaf&, const JsonLeaf&) = default;
};

// Sorted by `at`. An empty object or array is a value too. Nothing: not JSON (RFC 8259), or past a limit.
std::optional<std::vector<JsonLeaf>> json_leaves(std::string_view text, const Secrets& secrets,
                                                 const JsonLimits& limits = {});

}  // namespace foreshadow::kinds::http
