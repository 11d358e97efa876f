#include "kinds/http/session/over_h2.hpp"

#include "kinds/http/session/deadline.hpp"
#include "kinds/http/wire/text.hpp"

namespace foreshadow::kinds::http {

using h2client::Call;
using Steady = Watch::Steady;

namespace {

bool says_trailers(const RequestHead& head) {
  bool says = false;
  if (const auto* te = find_field(head.fields, "te"))
    for_each_element(te->value, [&](std::string_view one) { says = says || equals_lower(one, "trailers"); });
  return says;
}

// Carries on until the answer has something to say. `up`: the body too.
awaitable<std::optional<End>> await_word(Call& call, Uploader& uploader, bool up, Millis timeout) {
  while (!call.has_interims() && !call.answered() && !call.closed()) {
    bool hungry = false;
    if (up)
      if (const auto end = uploader.push(call, hungry)) co_return end;
    if (const auto end = co_await uploader.wait(call, hungry, Steady::now() + timeout)) co_return end;
  }
  co_return std::nullopt;
}

End read_head(std::string text, const Limits& limits, std::string_view method, Answer& answer, Framing& framing) {
  answer.bytes = std::move(text);
  auto head = parse_response_head(answer.bytes, limits);
  if (!head) return answer.why = head.error().why, End::bad;
  answer.state = Answer::State::complete;
  answer.head = std::move(*head);
  const auto found = response_framing(answer.head, method);
  if (!found) return End::bad;
  framing = *found;
  return End::answered;
}

// Of a call that is over without an answer.
End end_of(const Call& call, bool begun) {
  if (call.spoilt()) return End::bad;
  // Given up on purpose: sending the same again is not for us to decide.
  return begun || call.reset_by_peer() ? End::cut : End::gone;
}

// To 100, if that is waited for, or the final head.
awaitable<End> await_answer(const Core& core, const Request& request, bool until_continue, Millis timeout, Call& call,
                            Uploader& uploader, Answer& answer, Framing& framing) {
  bool begun = false;
  for (;;) {
    if (const auto end = co_await await_word(call, uploader, !until_continue, timeout)) co_return *end;
    for (auto& text : call.take_interims()) {
      begun = true;
      if (read_head(std::move(text), core.limits, request.head.method, answer, framing) != End::answered)
        co_return End::bad;
      // A 100 that nobody waits for, as after we said it ourselves, is not passed on.
      const bool is_continue = answer.head.status == 100;
      const bool wanted = is_continue ? until_continue : request.head.minor >= 1;
      if (wanted && !co_await uploader.interim(answer)) co_return End::client_gone;
      if (is_continue && until_continue) co_return End::go_on;
    }
    if (call.answered()) break;
    if (call.closed()) co_return end_of(call, begun);
  }
  const auto end = read_head(call.head(), core.limits, request.head.method, answer, framing);
  // HTTP/2 frames it; HTTP/1.1 would have to read to the end of the connection.
  if (framing.kind == BodyKind::until_close)
    framing = call.ended() && call.body().empty() && call.trailers().empty() ? Framing{BodyKind::length, 0}
                                                                             : Framing{BodyKind::chunked};
  co_return end;
}

}  // namespace

awaitable<Attempt> try_over_h2(const Core& core, Request& request, const Instance& target, const Arrival& client,
                               Call& call, Uploader& uploader, std::string& out, Answer& answer, Framing& framing) {
  const auto timeout = left_of(request, core.rules[request.segment].upstream_timeout);
  if (request.head.minor >= 1 && says_trailers(request.head)) request.takes_trailers = true;
  out.clear();
  append_head_to_instance(out, core, request, framing_to_instance(request), target, client, false);
  call.begin(out, !request.whole || !request.body.empty() || !request.trailers.empty());
  call.offer(request.body);
  if (request.whole) call.finish(request.trailers);
  auto end = End::go_on;
  if (request.expects) {
    end = co_await await_answer(core, request, true, std::min(timeout, kContinueWait), call, uploader, answer, framing);
    const bool silent = end == End::timeout;
    if (silent) end = co_await uploader.invite() ? End::go_on : End::client_gone;
  }
  if (end == End::go_on) end = co_await await_answer(core, request, false, timeout, call, uploader, answer, framing);
  Attempt attempt{end, out.size() + request.body.size()};
  if (end == End::answered) co_return attempt;
  if (end == End::timeout) call.mark_late();
  if (call.refused()) attempt = {End::gone, 0, true, uploader.spent()};
  // Our own words may come from where the body was lent.
  call.give_up();
  co_return attempt;
}

}  // namespace foreshadow::kinds::http
