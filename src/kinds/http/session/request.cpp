#include "kinds/http/session/request.hpp"

#include "base/assert.hpp"
#include "kinds/http/wire/chunked.hpp"
#include "kinds/http/wire/cookie.hpp"
#include "kinds/http/wire/max_forwards.hpp"
#include "kinds/http/wire/text.hpp"
#include "kinds/http/wire/upgrade.hpp"

namespace foreshadow::kinds::http {

namespace {
constexpr int kInterimMax = 16;
}

proxy::Failure failure_of(End end) {
  switch (end) {
    case End::gone:
    case End::cut:
      return proxy::Failure::reset;
    case End::timeout:
      return proxy::Failure::timeout;
    case End::bad:
      return proxy::Failure::protocol;
    case End::client_gone:
      return proxy::Failure::client_gone;
    case End::answered:
    case End::switched:
    case End::go_on:
    case End::client_bad:
    case End::too_large:
      break;
  }
  return proxy::Failure::none;
}

Words words_for(const Attempt& attempt, bool safe) {
  switch (attempt.end) {
    case End::timeout:
      return {504, safe ? "the service did not answer in time"
                        : "the service did not answer in time; whether it did the work is not known"};
    case End::gone:
      if (attempt.refused) return {503, "the service did not take the request; nothing was done", true};
      if (attempt.bytes_sent == 0) return {503, "the service closed the connection; nothing was sent to it", true};
      [[fallthrough]];
    case End::cut:
      return {502, safe ? "the service closed the connection before it answered"
                        : "the service closed the connection before it answered; whether it did the work is not known"};
    case End::client_bad:
      return {400, "malformed body"};
    case End::too_large:
      return {413, "the body is longer than is allowed here"};
    case End::client_gone:
    case End::bad:
    case End::answered:
    case End::switched:
    case End::go_on:
      break;
  }
  return {502, "the service gave an answer that cannot be understood"};
}

std::optional<Words> words_for_last_hop(const RequestHead& head) {
  if (max_forwards(head) != 0U) return std::nullopt;
  // What it would reflect are the fields of whoever has come before us.
  if (head.method == "TRACE") return Words{501, "Max-Forwards has TRACE end here, and it is not offered here"};
  return Words{200, "Max-Forwards had this answered here, by the gateway and not by the service"};
}

Words words_for_no_connection(const Error& error) {
  if (error.code == Code::timeout) return {504, "no connection to the service in time; nothing was sent to it", true};
  // Our own log has the particulars.
  if (error.code == Code::refused)
    return {503, "no secure connection to the service, or not to the right one; nothing was sent to it", true};
  return {503, "no connection to the service; nothing was sent to it", true};
}

bool is_too_large(const Core& core, std::uint64_t body_bytes) {
  const auto max = core.options.max_body;
  return max != 0 && body_bytes > max;
}

Framing framing_to_instance(const Request& request) {
  if (request.framing.kind == BodyKind::chunked && request.whole && request.trailers.empty())
    return {BodyKind::length, request.body.size()};
  return request.framing;
}

void append_head_to_instance(std::string& out, const Core& core, const Request& request, const Framing& framing,
                             const Instance& target, const Arrival& client, bool mirror) {
  const auto fallback_host = request.head.host.empty() ? target.endpoint.text() : std::string{};
  append_request(out, request.head, request.connection,
                 {.framing = framing,
                  .client_address = client.address,
                  .fallback_host = fallback_host,
                  .secure = client.secure,
                  .trust_forwarded = core.options.trust_forwarded,
                  .received = request.received,
                  .trailers = request.takes_trailers,
                  .upgrade = request.upgrade,
                  .expect_continue = request.expects && !mirror,
                  .identity = &request.identity,
                  .mirror = mirror,
                  .key_name = core.rules[request.segment].idempotency_key});
}

std::string frame_read_ahead(std::string& out, const Request& request, const Framing& framing) {
  // Bytes that no framing announces would be the next request.
  FS_ASSERT(request.body.empty() || framing.kind != BodyKind::none);
  std::string tail;
  if (framing.kind != BodyKind::chunked) return tail;
  if (!request.body.empty()) {
    append_chunk_head(out, request.body.size());
    tail = "\r\n";
  }
  if (request.whole) tail += "0\r\n" + request.trailers + "\r\n";
  return tail;
}

awaitable<End> await_answer(Conn& upstream, const Limits& limits, const Request& request, bool until_continue,
                            Answer& answer, Framing& framing, InterimSink& client) {
  for (int interim = 0; interim <= kInterimMax; ++interim) {
    HeadScanner scanner;
    while (!take_answer(upstream, scanner, limits, answer)) {
      if (!co_await upstream.fill()) continue;
      break_off(upstream, answer);
      break;
    }
    switch (answer.state) {
      case Answer::State::gone:
        // After an interim answer it was processed, at least begun.
        co_return interim == 0 ? End::gone : End::cut;
      case Answer::State::cut:
        co_return End::cut;
      case Answer::State::timeout:
        co_return End::timeout;
      case Answer::State::refused:
        co_return End::bad;
      case Answer::State::complete:
        break;
    }
    const int status = answer.head.status;
    if (status >= 200) {
      const auto found = response_framing(answer.head, request.head.method);
      if (!found) co_return End::bad;
      framing = *found;
      co_return End::answered;
    }
    // To something that was not offered, perhaps because nothing was: then what follows has no meaning.
    if (status == 101)
      co_return takes_up(answer.head, read_connection(answer.head.fields), request.upgrade) ? End::switched : End::bad;
    // A 100 that nobody waits for, as after we said it ourselves, is not passed on.
    const bool wanted = status == 100 ? until_continue : request.head.minor >= 1;
    if (wanted && !co_await client.interim(answer)) co_return End::client_gone;
    if (status == 100 && until_continue) co_return End::go_on;
  }
  co_return End::bad;
}

std::string new_cookie(const Core& core, const proxy::Gate& gate, const Arrival& arrival, const Request& request,
                       const ResponseHead& answer) {
  // Only while there are two sides to be on.
  if (!request.client.new_client || !gate.table().other || !may_set_cookie(answer)) return {};
  const auto* scheme = core.options.trust_forwarded ? find_field(request.head.fields, "x-forwarded-proto") : nullptr;
  return arrival.affinity.set_cookie(arrival.secure || (scheme && equals_lower(scheme->value, "https")));
}

bool may_mirror(const Core& core, proxy::Gate& gate, const Request& request, const proxy::Pass& pass) {
  if (!pass.mirror()) return false;
  if (is_safe(request.head.method)) return true;
  if (!core.honours_mirror_mark(request.segment)) return false;
  const bool taken = core.mirror->takes_write();
  if (!taken) gate.mirrored(request.segment, {.dropped = true});
  return taken;
}

}  // namespace foreshadow::kinds::http
