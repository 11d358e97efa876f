// The part of a session between the gate and the answer: one request and one instance, and where that fails, what its
// errand says comes next (errand.hpp).
#include <algorithm>
#include <boost/asio/error.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/socket_base.hpp>
#include <variant>

#include "kinds/http/session/body_pace.hpp"
#include "kinds/http/session/deadline.hpp"
#include "kinds/http/session/errand.hpp"
#include "kinds/http/session/insured_body.hpp"
#include "kinds/http/session/session.hpp"
#include "kinds/http/session/upload.hpp"
#include "kinds/http/wire/upgrade.hpp"

namespace foreshadow::kinds::http {

namespace asio = boost::asio;
using Steady = Watch::Steady;
using namespace asio::experimental::awaitable_operators;

namespace {
// Behind the last field of a head.
void insert_mark(std::string& head) {
  std::string mark(kInsuredName);
  mark.append(": ").append(kInsuredValue).append("\r\n");
  head.insert(head.size() - 2, mark);
}
}  // namespace

Millis Session::upstream_timeout(const Request& request) const {
  return left_of(request, core_->rules[request.segment].upstream_timeout);
}

awaitable<bool> Session::exchange(Request& request, BodyReader& body, proxy::Pass pass) {
  Errand errand(*core_, gate_, arrival_, request, account_, copy_, std::move(pass));
  unread_body_ = false;
  Upload upload(*this, request, body);
  for (;;) {
    auto kept = errand.kept();
    auto got = kept ? Errand::Got(std::move(*kept)) : co_await errand.connect();
    Attempt tried;
    if (got)
      tried = got->call ? co_await attempt_over_h2(request, upload, errand.target(), *got->call)
                        : co_await attempt(request, body, errand.target(), *got->conn);
    if (tried.end == End::switched) co_return co_await switch_over(request, errand.take_pass(), std::move(got->conn));
    const auto next = errand.tried(got, tried);
    if (next == Errand::Next::resend) continue;
    unread_body_ = !request.whole && !body.complete();
    if (next == Errand::Next::enter_again) {
      client_.watch().disarm();
      const auto entered = co_await errand.enter_again();
      if (entered) continue;
      const auto words = errand.refused(entered.error());
      co_return co_await answer(&request, words.status, words.text, unread_body_, words.retry_soon);
    }
    if (next == Errand::Next::give_up) {
      const bool client_failed = tried.client_failed();
      if (!client_failed && co_await errand.cover().ask()) co_return co_await relay_insured(request, errand.cover());
      errand.copy_unanswered(!unread_body_);
      if (tried.end == End::client_gone) co_return false;
      const auto words = errand.words(got, tried);
      co_return co_await answer(&request, words.status, words.text, unread_body_ || client_failed, words.retry_soon);
    }
    if (errand.cover().counts(answer_.head.status) && co_await errand.cover().ask()) {
      got->drop();
      errand.end(proxy::Failure::status_5xx);
      co_return co_await relay_insured(request, errand.cover());
    }
    errand.begin_relay(answer_);
    const auto relayed = got->call ? co_await relay_over_h2(request, upload, *got->call)
                                   : co_await relay(request, *got->conn, answer_, answer_framing_, errand.cover());
    errand.relayed(*got, answer_.head.status, relayed, !unread_body_);
    if (unread_body_ && relayed.whole) co_await linger(client_);
    co_return relayed.keep;
  }
}

awaitable<Attempt> Session::attempt(Request& request, BodyReader& body, const Instance& target, Conn& upstream) {
  const auto framing = framing_to_instance(request);
  out_.clear();
  append_head_to_instance(out_, *core_, request, framing, target, arrival_, false);
  const auto tail = frame_read_ahead(out_, request, framing);
  upstream.watch().arm(upstream_timeout(request));
  Conn::Parts parts{asio::buffer(out_), asio::buffer(request.body), asio::buffer(tail)};
  Conn::Written written;
  if (!upstream.write_now(parts, written)) written = co_await upstream.write_on(parts, written);
  if (written.error && upstream.timed_out()) co_return Attempt{End::timeout, written.bytes};
  if (written.error && written.bytes == 0) co_return Attempt{End::gone, 0};
  // After a write that broke midway an answer may still wait to be read: a refusal, sent before the instance closed.
  if (!written.error && request.expects) {
    upstream.watch().arm(std::min(upstream_timeout(request), kContinueWait));
    const auto early = co_await await_answer(upstream, core_->limits, request, true, answer_, answer_framing_, *this);
    const bool silent = early == End::timeout && upstream.unread().empty();
    if (early != End::go_on && !silent) co_return Attempt{early, written.bytes};
    client_.watch().arm(core_->settings.idle_timeout);
    if (silent && (co_await client_.write("HTTP/1.1 100 Continue\r\n\r\n")).error)
      co_return Attempt{End::client_gone, written.bytes};
  }
  if (!written.error && !request.whole)
    if (const auto end = co_await send_rest(request, body, upstream)) co_return Attempt{*end, written.bytes};
  upstream.watch().arm(upstream_timeout(request));
  co_return Attempt{co_await await_answer(upstream, core_->limits, request, false, answer_, answer_framing_, *this),
                    written.bytes};
}

awaitable<std::optional<End>> Session::send_rest(Request& request, BodyReader& body, Conn& upstream) {
  const bool chunked = request.framing.kind == BodyKind::chunked;
  std::size_t total = request.body.size();
  BodyPace pace(core_->options.clients.body_bytes_per_s_min, core_->settings.idle_timeout);
  copy_.begin_body(request.body);
  for (;;) {
    auto state = body.ready();
    while (!state) {
      client_.watch().arm(left_of(request, pace.begin(total)));
      upstream.watch().disarm();
      // Whoever speaks first: an instance that answers (or leaves) now reads no further, so neither do we.
      const auto first = co_await (client_.fill() || upstream.readable());
      pace.end();
      if (first.index() == 1) co_return std::nullopt;
      if (std::get<0>(first)) co_return End::client_gone;
      state = body.ready();
    }
    if (state == BodyReader::State::refused) co_return End::client_bad;
    if (state == BodyReader::State::done) break;
    const auto data = body.data();
    total += data.size();
    account_.bytes_in = total;
    if (is_too_large(*core_, total)) co_return End::too_large;
    copy_.keep_body(*core_, data, total);
    // The same, when our client is so fast that nobody ever waits for it.
    if (!upstream.quiet()) co_return std::nullopt;
    out_.clear();
    if (chunked) append_chunk_head(out_, data.size());
    upstream.watch().arm(upstream_timeout(request));
    const auto written = co_await upstream.write(
        {asio::buffer(out_), asio::buffer(data), asio::buffer(std::string_view(chunked ? "\r\n" : ""))});
    if (upstream.timed_out()) co_return End::timeout;
    if (written.error) co_return std::nullopt;
  }
  if (!chunked) co_return std::nullopt;
  out_ = "0\r\n" + body.trailers() + "\r\n";
  upstream.watch().arm(upstream_timeout(request));
  co_await upstream.write(out_);
  co_return std::nullopt;
}

awaitable<bool> Session::interim(const Answer& answer) {
  out_.clear();
  append_interim(out_, answer.head, read_connection(answer.head.fields));
  client_.watch().arm(core_->settings.idle_timeout);
  co_return !(co_await client_.write(out_)).error;
}

awaitable<bool> Session::relay_insured(const Request& request, Cover& cover) {
  const auto relayed = co_await relay(request, cover.conn(), cover.answer(), cover.framing(), cover);
  cover.finish(relayed.reusable);
  co_return relayed.keep;
}

Framing Session::compose_head(const Request& request, const ResponseHead& head, const Framing& framing,
                              const Connection& connection, std::string_view received, bool& keep) {
  account_.status = head.status;
  if (core_->access_log) account_.first_byte_at = Steady::now();
  auto to_client = framing;
  // An answer of unknown length: in chunks to who knows them, else to the end of the connection.
  if (framing.kind == BodyKind::chunked || framing.kind == BodyKind::until_close)
    to_client.kind = request.head.minor >= 1 ? BodyKind::chunked : BodyKind::until_close;
  keep = persistent(request.connection, request.head.minor) && to_client.kind != BodyKind::until_close &&
         !unread_body_ && !is_last();
  const auto cookie = new_cookie(*core_, gate_, arrival_, request, head);
  // Which protocol it must be is all there is to a 426.
  const auto asked_for = head.status == 426 ? named_protocols(head, connection) : std::string{};
  out_.clear();
  append_response(out_, head, connection,
                  {.framing = to_client,
                   .keep_length = framing.kind == BodyKind::none && head.status != 204,
                   .close = !keep,
                   .set_cookie = cookie,
                   .received = received,
                   .client_minor = request.head.minor,
                   .upgrade = asked_for});
  return to_client;
}

awaitable<Relayed> Session::relay(const Request& request, Conn& upstream, const Answer& answer, const Framing& framing,
                                  Cover& cover) {
  const auto& head = answer.head;
  account_.insured = cover.served();
  const auto connection = read_connection(head.fields);
  Relayed relayed;
  const bool chunked = compose_head(request, head, framing, connection, "1.1", relayed.keep).kind == BodyKind::chunked;
  if (cover.marks()) insert_mark(out_);

  // The head travels with the first of the body, if that is here already, and the end with the head, if there is none.
  InsuredBody body(upstream, framing, cover.watch(answer, framing) ? &cover : nullptr);
  auto state = body.ready();
  for (bool first = true;; first = false) {
    const bool done = state == BodyReader::State::done;
    if (done && !first && !chunked) break;
    std::string tail;
    if (state == BodyReader::State::data && chunked) {
      append_chunk_head(out_, body.data().size());
      tail = "\r\n";
    } else if (done && chunked) {
      tail = "0\r\n" + body.trailers() + "\r\n";
    }
    client_.watch().arm(left_of(request, core_->settings.idle_timeout));
    Conn::Parts parts{asio::buffer(out_), asio::buffer(body.data()), asio::buffer(tail)};
    Conn::Written written;
    if (!client_.write_now(parts, written)) written = co_await client_.write_on(parts, written);
    if (written.error) co_return Relayed{.insured = body.completed(), .late = body.late()};
    account_.bytes_out += body.data().size();
    if (done) break;
    copy_.keep_answer(body.data());
    out_.clear();
    state = co_await body.next(upstream_timeout(request));
    account_.insured = account_.insured || body.completed();
    if (state == BodyReader::State::refused || state == BodyReader::State::broken) {
      // What the client has is not the whole: a reset says so, whatever framing it reads.
      error_code ignored;
      client_.socket().set_option(asio::socket_base::linger(true, 0), ignored);
      client_.socket().close(ignored);
      co_return Relayed{.broken = true, .insured = body.completed(), .late = body.late()};
    }
  }
  relayed.whole = true;
  relayed.insured = body.completed();
  relayed.late = body.late();
  relayed.reusable = !relayed.insured && framing.kind != BodyKind::until_close && persistent(connection, head.minor) &&
                     !unread_body_ && upstream.unread().empty();
  co_return relayed;
}

}  // namespace foreshadow::kinds::http
