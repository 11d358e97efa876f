// Whether a request whose attempt brought no answer may be sent again, and what its client may be told. The one place
// that decides it, for every version of HTTP: a write is sent a second time only when provably nothing was done with
// the first, or when its service tells repetitions apart by a key that the request carries. Never a double write; where
// it cannot be known what was done, the answer says so. Pure.
#pragma once

#include <string_view>

#include "kinds/http/session/request.hpp"

namespace foreshadow::kinds::http {

// What a request allows.
struct Claim {
  bool safe = false;     // its method is
  bool keyed = false;    // it carries the key by which its segment's service tells repetitions apart
  bool whole = false;    // all of it is here, to be sent again
  bool upgrade = false;  // it offers to become something else than HTTP
};

// One attempt that brought no final answer.
struct Tried {
  bool connected = true;
  Attempt attempt;        // if connected
  bool reused = false;    // over a connection that had been idle: its instance may have closed it just then
  bool moved = false;     // the gate would not send it there now: a hold, or a handover since
  bool may_wait = false;  // the gate lets it wait for a side that takes no connections (docs/limits.md)
  bool resent = false;    // at once, before
  int again = 0;          // times that it has been through the gate anew already
};

enum class Retry {
  no,
  at_once,       // over a fresh connection to the same instance, under the same pass
  through_gate,  // with a new pass, and so to the side that is current then
};
Retry may_retry(const Claim& claim, const Tried& tried);
// Sent through the gate anew, does it count as neither answered nor failed where it was? What a handover took its side
// from does; where a write with a key broke off, something went wrong.
bool is_given_back(const Claim& claim, const Tried& tried);

// Something may have been done that must not be done twice, and will never be known of.
bool perhaps_done(const Claim& claim, const Tried& tried);
// What may be said after all attempts. `words`: of the last one; `perhaps_done`: of any of them.
Words honest(const Words& words, bool perhaps_done);

// `key_name`: in lower case; empty: the segment declares none. Two keys are none: nobody knows which one counts.
Claim claim_of(const Request& request, std::string_view key_name);
bool has_moved(const proxy::Gate& gate, const proxy::Pass& pass);
// What the request may do, as its method and its segment's declaration have it: a read goes on while a hold parks the
// rest (docs/handover.md). One that offers to become something else is never a read: nobody knows what it becomes.
proxy::Work work_of(const Core& core, const Request& request);

}  // namespace foreshadow::kinds::http
