// The Date of answers that the gateway itself gives (RFC 9110, section 6.6.1). Told to people and caches, never a
// decision.
#pragma once

#include <string>

namespace foreshadow::kinds::http {

// "Sun, 06 Nov 1994 08:49:37 GMT"; RFC 9110, section 5.6.7.
std::string imf_fixdate(std::int64_t unix_seconds);
std::string date_now();

}  // namespace foreshadow::kinds::http
