// Reads that go on while a hold parks the rest (docs/handover.md), and what becomes of those that the old side will not
// take any more: nothing of their answer has gone out, so they enter anew, and only their client's patience is used up.
#pragma once

#include "kinds/http/session/request.hpp"
#include "proxy/gate.hpp"

namespace foreshadow::kinds::http {

// What the request may do, as its method and its segment's declaration have it. One that offers to become something
// else is never a read: nobody knows what it becomes.
proxy::Work work_of(const Core& core, const Request& request);

// May it enter again, after its side refused the connection, or ended it before the answer? Only while a hold lasts, or
// if the sides have changed since it entered.
bool may_enter_again(const proxy::Gate& gate, const proxy::Pass& pass, const Request& request);
// Did the attempt end so that the instance may well be gone?
bool seems_gone(const Attempt& attempt);
bool seems_gone(const Error& no_connection);

}  // namespace foreshadow::kinds::http
