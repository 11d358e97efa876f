// SCRAM's channel binding (RFC 5802, section 6; RFC 5929) where a login is relayed by somebody who ends TLS: the proof
// is of one channel, and there are two. So no mechanism that is bound is offered to clients. That is noticed by a
// client which could bind and comes under TLS itself: it says so under its proof, as RFC 5802 wants it, and a server
// under TLS must then refuse it, for it did offer. Nothing that a relay may change helps such a pair. Pure.
#pragma once

#include <string>
#include <string_view>

namespace foreshadow::kinds::pg_gateway {

// The list of mechanisms in AuthenticationSASL's data, without those that are bound to a channel.
std::string unbound_mechanisms(std::string_view list);

// Of the body of a SASLInitialResponse: the client could bind, and thinks that the server cannot (gs2 flag 'y').
bool misses_binding(std::string_view initial_response);

}  // namespace foreshadow::kinds::pg_gateway
