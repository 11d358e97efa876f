// What the gateway must know of gRPC: which requests are its calls, and how to say in its terms that one failed. A
// client reads a gRPC status from trailers, or from the only head there is, and guesses from anything else.
#pragma once

#include <string>
#include <string_view>

#include "kinds/http/wire/head.hpp"

namespace foreshadow::kinds::http {

// application/grpc, +proto and the like. gRPC-Web is none: it is made for proxies that know only HTTP.
bool is_grpc(const RequestHead& head);

// The status that says what this answer of the gateway's own would say over HTTP. `nothing_done`: provably nothing was
// done, so that a client may try again at once (14, UNAVAILABLE; clients do). Where that is not so the status is never
// one that clients try again by themselves: 4 (DEADLINE_EXCEEDED) or 2 (UNKNOWN).
int grpc_status(int http_status, bool nothing_done);
// Percent-encoded, as grpc-message has it.
std::string grpc_message(std::string_view text);

}  // namespace foreshadow::kinds::http
