// What one client may have of the gateway, out of the configuration's flat text (docs/limits.md).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "base/time.hpp"
#include "kinds/kind.hpp"

namespace foreshadow::kinds::http {

struct ClientLimits {
  int connections_max = 0;                   // of one address, at a time; an IPv6 /64 is one. 0: any number
  std::uint64_t requests_max = 0;            // on one connection; 0: any number
  std::uint64_t body_bytes_per_s_min = 500;  // on average, of a body that is passed on while it comes; 0: any
  // Each connection is known from its beginning to its end.
  bool counts() const { return connections_max != 0 || requests_max != 0; }
};

std::vector<OptionInfo> client_limit_infos();
bool is_client_limit(std::string_view name);
// Requires: is_client_limit. Error: invalid, as the end of a sentence that begins with the value.
Result<void> set_client_limit(ClientLimits& limits, const std::string& name, const std::string& text);

}  // namespace foreshadow::kinds::http
