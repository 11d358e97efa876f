#include "kinds/http/session/again.hpp"

namespace foreshadow::kinds::http {

namespace {
// Each time its side must have gone away under it.
constexpr int kAgainMax = 3;
}  // namespace

proxy::Work work_of(const Core& core, const Request& request) {
  const bool reads = core.rules[request.segment].reads_flow && is_safe(request.head.method) && request.upgrade.empty();
  return reads ? proxy::Work::read : proxy::Work::write;
}

bool may_enter_again(const proxy::Gate& gate, const proxy::Pass& pass, const Request& request) {
  return pass.work() == proxy::Work::read && request.whole && request.again < kAgainMax &&
         (gate.parks() || pass.epoch() != gate.table().epoch);
}

bool seems_gone(const Attempt& attempt) { return attempt.end == End::gone || attempt.end == End::cut; }
// Not for want of our own ports.
bool seems_gone(const Error& no_connection) { return no_connection.code != Code::io; }

}  // namespace foreshadow::kinds::http
