// Serves one client connection that speaks HTTP/2 (RFC 9113), to its end. Each request is matched, passed through the
// gate, sent to its side over HTTP/1.1 and answered as one of HTTP/1.1 is; only what lies between them differs, streams
// that share a connection and take turns by flow control.
//
// Ends itself: idle too long, a preface or a header block that does not come, a client that does not read, a flood.
// When the gateway stops: GOAWAY, and the streams there are finish.
#pragma once

#include <memory>
#include <string>

#include "kinds/http/session/arrival.hpp"
#include "kinds/http/session/core.hpp"
#include "proxy/gate.hpp"

namespace foreshadow::kinds::http::h2 {

// The client's 24 bytes of preface have been taken off. Reads and writes `client` at the same time. Everything outlives
// it; does not throw but for want of memory.
awaitable<void> serve(std::shared_ptr<Core> core, Conn& client, proxy::Gate& gate, Arrival& arrival);

}  // namespace foreshadow::kinds::http::h2
