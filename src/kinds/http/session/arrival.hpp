// What happens on a client's connection before its first request: the PROXY header of a balancer before us, then the
// TLS handshake. Both within the listener's header_timeout, and both at the client's own cost: who gets them wrong, or
// stalls, ends here, having been given nothing but a socket.
#pragma once

#include <string>

#include "kinds/http/session/affinity.hpp"
#include "kinds/http/session/conn.hpp"
#include "kinds/http/session/core.hpp"

namespace foreshadow::kinds::http {

// Who the client is, as far as the connection tells.
struct Arrival {
  std::string address;  // for X-Forwarded-For: the peer, or whom the PROXY header names
  Affinity affinity;
  bool secure = false;  // under TLS with us
};

// The peer, as the socket has it. Enough where a listener has neither TLS nor PROXY headers. Empty address: it has
// gone.
Arrival peer_of(Conn& conn);
// A place for a connection from the peer, where the peer is the client: before anything is done for it. False: it has
// too many.
bool admit(Core& core, const Arrival& arrival, ClientQuota::Place& place);
// False: the connection is done for, and what could be said to the client was said. After true `arrival` is filled, and
// Conn::alpn() tells which protocol comes. `place`: for the client that a PROXY header names.
awaitable<bool> arrive(Core& core, Conn& conn, Arrival& arrival, ClientQuota::Place& place);

// Says that no more comes, and reads on for a moment: closing over unread bytes would reset the connection and take the
// last answer from the client's hands.
awaitable<void> linger(Conn& conn);

}  // namespace foreshadow::kinds::http
