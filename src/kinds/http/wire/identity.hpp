// By what a request is known beyond this gateway: X-Request-Id and the W3C trace context (traceparent and tracestate,
// https://www.w3.org/TR/trace-context/). Says which of the client's fields pass and what is added; the bytes are then
// the same for the instance and for a mirrored copy. Never decides anything by them. Pure, but for the draws.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/random.hpp"
#include "kinds/http/wire/head.hpp"
#include "kinds/http/wire/rewrite.hpp"

namespace foreshadow::kinds::http {

// Longer ones are somebody's attempt to fill logs.
inline constexpr std::size_t kRequestIdMax = 128;
// Visible ASCII, and no more of it than that.
bool is_request_id(std::string_view text);

struct TraceParent {
  std::string_view trace_id;   // 32 digits, in lower case, not all zero
  std::string_view parent_id;  // 16 of them
  unsigned flags = 0;
};
// Section 3.2.2. Of a version above 00 what version 00 has, as section 4.3 wants; ff is none. Nothing: not valid.
std::optional<TraceParent> parse_traceparent(std::string_view value);

struct IdentityRules {
  enum class Ids { pass, make, off } request_id = Ids::pass;
  enum class Traces { pass, start, off } trace = Traces::pass;
  // What happens here can be looked up (in the access log): we are a span of the trace, so the parent-id is ours.
  bool told = false;
};

struct Identity {
  // Those that pass to the instance; empty: none. Only where something was made, or is to be told. They point into the
  // head or into `lines`: not after this moved.
  std::string_view request_id;
  std::string_view trace_id;
  std::string_view span_id;
  std::string lines;  // fields to add, each with its CRLF
  // Of the client's fields, those do not pass.
  bool drops_request_id = false;
  bool drops_traceparent = false;
  bool drops_tracestate = false;

  bool drops(std::string_view name) const;
};
// Fills `identity`, a fresh one.
void identify(Identity& identity, const RequestHead& head, const Connection& connection, const IdentityRules& rules,
              Random& random);

}  // namespace foreshadow::kinds::http
