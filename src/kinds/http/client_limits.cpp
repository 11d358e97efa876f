#include "kinds/http/client_limits.hpp"

#include "base/units.hpp"
#include "kinds/http/option_text.hpp"

namespace foreshadow::kinds::http {
std::vector<OptionInfo> client_limit_infos() {
  return {
      {"client_connections_max",
       "connections that one client address may have; an IPv6 /64 is one (default 0: any number)"},
      {"client_requests_max", "requests on one connection, which then ends (default 0: any number)"},
      {"body_rate_min",
       "a client that sends a long body slower than this many bytes a second, on average, is cut off (default 500; 0: "
       "never)"},
  };
}

bool is_client_limit(std::string_view name) {
  return name == "client_connections_max" || name == "client_requests_max" || name == "body_rate_min";
}

Result<void> set_client_limit(ClientLimits& limits, const std::string& name, const std::string& text) {
  if (name == "body_rate_min") {
    FS_TRY(value, parse_bytes(text));
    limits.body_bytes_per_s_min = value;
    return {};
  }
  FS_TRY(value, parse_count(text, 0, 1'000'000));
  if (name == "client_connections_max")
    limits.connections_max = static_cast<int>(value);
  else
    limits.requests_max = value;
  return {};
}

}  // namespace foreshadow::kinds::http
