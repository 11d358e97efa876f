#include "kinds/http/session/ledger.hpp"

#include "kinds/http/wire/text.hpp"

namespace foreshadow::kinds::http {

namespace {
// Each time its side must have gone away under it.
constexpr int kAgainMax = 3;

bool is_unsent(const Tried& tried) {
  return !tried.connected || tried.attempt.refused || (tried.attempt.end == End::gone && tried.attempt.bytes_sent == 0);
}
}  // namespace

Retry may_retry(const Claim& claim, const Tried& tried) {
  // However little was done with it: there is nothing left to send.
  if (tried.attempt.spent) return Retry::no;
  const bool unsent = is_unsent(tried);
  const bool silent = tried.connected && tried.attempt.end == End::gone;
  const bool repeatable = claim.whole && !claim.upgrade;
  // It said so, or its connection did: another one, or a moment later, may be better.
  if (tried.connected && tried.attempt.refused && repeatable && !tried.resent) return Retry::at_once;
  if (silent && tried.reused && (unsent || (claim.safe && repeatable))) return Retry::at_once;
  if (!tried.connected && tried.may_wait) return Retry::through_gate;
  if (tried.again >= kAgainMax) return Retry::no;
  const bool elsewhere = tried.moved || tried.may_wait;
  // Where nothing has changed and nobody waits, an instance that cannot be reached will not be a moment later. One that
  // dies may take a connection and end it before anything is sent.
  if (unsent) return elsewhere ? Retry::through_gate : Retry::no;
  if (!repeatable) return Retry::no;
  // A deadline that passed is not passed twice: the client has waited long enough, and the first one may still be at
  // work, which a service with keys would have to answer with a conflict.
  if (claim.safe) return elsewhere && (silent || tried.attempt.end == End::cut) ? Retry::through_gate : Retry::no;
  return claim.keyed && silent && tried.again == 0 ? Retry::through_gate : Retry::no;
}

bool is_given_back(const Claim& claim, const Tried& tried) { return claim.safe || is_unsent(tried); }

bool perhaps_done(const Claim& claim, const Tried& tried) { return !claim.safe && !is_unsent(tried); }

Words honest(const Words& words, bool perhaps_done) {
  // Of the last attempt that may be true, but not of the one before it.
  if (!perhaps_done || !words.retry_soon) return words;
  return {502, "the service closed the connection before it answered; whether it did the work is not known"};
}

Claim claim_of(const Request& request, std::string_view key_name) {
  Claim claim{.safe = is_safe(request.head.method), .whole = request.whole, .upgrade = !request.upgrade.empty()};
  if (claim.safe || key_name.empty()) return claim;
  int keys = 0;
  for (const auto& field : request.head.fields)
    if (equals_lower(field.name, key_name)) keys += field.value.empty() ? 2 : 1;
  claim.keyed = keys == 1;
  return claim;
}

bool has_moved(const proxy::Gate& gate, const proxy::Pass& pass) {
  const auto& table = gate.table();
  return gate.parks() || table.epoch != pass.epoch() || (pass.side() == proxy::Side::other && !table.other);
}

proxy::Work work_of(const Core& core, const Request& request) {
  const bool reads = core.rules[request.segment].reads_flow && is_safe(request.head.method) && request.upgrade.empty();
  return reads ? proxy::Work::read : proxy::Work::write;
}

}  // namespace foreshadow::kinds::http
