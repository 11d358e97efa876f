// What makes several requests one client's, so that a client once moved stays moved while the weight grows: the setting
// `sticky`. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace foreshadow::kinds::http {

// The cookie that the gateway gives to clients itself.
inline constexpr std::string_view kOwnCookie = "foreshadow-side";

struct Sticky {
  enum class By {
    connection,  // of the client
    request,     // none: every request draws afresh
    address,     // the client's, without its port
    cookie,      // the value of the service's cookie `name`
    header,      // the value of the header `name`
    own_cookie,  // kOwnCookie, set by the gateway
  };
  By by = By::connection;
  std::string name;  // of a header in lower case
  friend bool operator==(const Sticky&, const Sticky&) = default;
};

// "connection", "request", "address", "cookie", "cookie:NAME", "header:NAME". Error: invalid, saying what it may be.
Result<Sticky> parse_sticky(std::string_view text);

// The gate's `sticky` for such a value: the same at every gateway and in every process; never 0.
std::uint64_t hash_of(std::string_view value);

}  // namespace foreshadow::kinds::http
