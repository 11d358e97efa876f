#include "kinds/postgres/gateway/binding.hpp"

#include "kinds/postgres/gateway/wire.hpp"

namespace foreshadow::kinds::pg_gateway {

std::string unbound_mechanisms(std::string_view list) {
  std::string kept;
  while (const auto name = take_string(list)) {
    if (name->empty()) break;
    if (name->ends_with("-PLUS")) continue;
    kept += *name;
    kept += '\0';
  }
  return kept + '\0';
}

bool misses_binding(std::string_view body) {
  const auto mechanism = take_string(body);
  // The length of what the client says first, and then its gs2 header.
  return mechanism && mechanism->starts_with("SCRAM-") && body.size() > 4 && body[4] == 'y';
}

}  // namespace foreshadow::kinds::pg_gateway
