// A request's whole time (option `request_timeout`): in a hold, in a queue, at its instance, and until the last byte of
// its answer is sent. Every wait on its way is cut to what is left of it. Costs nothing where there is none.
#pragma once

#include "kinds/http/session/request.hpp"
#include "proxy/gate.hpp"

namespace foreshadow::kinds::http {

// From its arrival; requires segment and received_at.
void begin_time(const Core& core, Request& request);
// What may be waited: `timeout`, or less. At least a millisecond, so that a watch that is armed with it expires.
Millis left_of(const Request& request, Millis timeout);
// Gate::enter within that time. Error timeout: it was over first, and nothing was done.
awaitable<Result<proxy::Pass>> enter_in_time(proxy::Gate& gate, const Request& request, proxy::Work work, bool again);

}  // namespace foreshadow::kinds::http
