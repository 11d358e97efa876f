// What a request offers in Upgrade, and whether an answer takes up the offer (RFC 9110, section 7.8). Pure.
#pragma once

#include <string>

#include "kinds/http/wire/rewrite.hpp"

namespace foreshadow::kinds::http {

// The protocols offered, as a list to pass on; h2c is left out, for its offer is not for us to pass. Empty: none.
// Refusal: 400 for what is not a list of protocols.
Parsed<std::string> offered_protocols(const RequestHead& head, const Connection& connection);

// The protocols that an answer names as those to switch to, as a list; empty if it does not speak of that at all.
std::string named_protocols(const ResponseHead& head, const Connection& connection);
// A 101 switches to something, and to nothing but what `offer` (a list) holds.
bool takes_up(const ResponseHead& head, const Connection& connection, std::string_view offer);
bool is_websocket(std::string_view protocols);

}  // namespace foreshadow::kinds::http
