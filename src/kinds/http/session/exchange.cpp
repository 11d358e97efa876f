// The part of a session between the gate and the answer: one request, one instance, at most one retry.
#include <algorithm>
#include <boost/asio/error.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/socket_base.hpp>
#include <variant>

#include "kinds/http/session/mirror_choice.hpp"
#include "kinds/http/session/session.hpp"
#include "kinds/http/session/upload.hpp"
#include "kinds/http/wire/upgrade.hpp"

namespace foreshadow::kinds::http {

namespace asio = boost::asio;
using Steady = Watch::Steady;
using namespace asio::experimental::awaitable_operators;

namespace {
proxy::Micros since(Steady::time_point then) { return std::chrono::duration_cast<proxy::Micros>(Steady::now() - then); }
}  // namespace

awaitable<bool> Session::exchange(Request& request, BodyReader& body, proxy::Pass pass) {
  // Given back before an answer of our own goes out: a slow client's reading is not the instance's work.
  std::optional<proxy::Pass> held(std::move(pass));
  const bool switches = !request.upgrade.empty();
  MirrorChoice choice;
  const auto shadow = !switches && may_mirror(*core_, request)
                          ? choice.choose(core_->trial, gate_, *held, request.received_at)
                          : nullptr;
  if (core_->access_log) account_.enter(held->target().id, held->side(), shadow != nullptr);
  account_.bytes_in = request.body.size();
  const auto end_work = [&](proxy::Failure failure) {
    const auto took = since(request.received_at);
    account_.failure = failure;
    held->finish(failure, took);
    held.reset();
    choice.finished(failure == proxy::Failure::none || failure == proxy::Failure::client_gone, took);
  };
  spooling_ = shadow && !request.whole;
  spool_.clear();
  unread_body_ = false;

  const bool safe = is_safe(request.head.method);
  const auto connect_timeout = std::min(core_->rules[request.segment].upstream_timeout, kConnectMax);
  // A method that is safe may be sent twice, but not an offer to become something else: that never meets a connection
  // that may just be closing, and so is never sent again.
  Millis idle_age_max = switches ? Millis{0} : safe ? kIdleAgeMax : kIdleAgeMaxUnsafe;
  Upload upload(*this, request, body);
  for (;;) {
    auto got = co_await core_->pool->get(held->target(), connect_timeout, idle_age_max, switches);
    if (!got) {
      end_work(proxy::Failure::connect);
      const auto words = words_for_no_connection(got.error());
      co_return co_await answer(&request, words.status, words.text, !request.whole, words.retry_soon);
    }
    const auto tried = got->call ? co_await attempt_over_h2(request, upload, held->target(), *got->call)
                                 : co_await attempt(request, body, held->target(), *got->conn);
    if (tried.unprocessed(safe) && (got->reused || (tried.refused && !account_.retried)) && request.whole) {
      idle_age_max = Millis{0};
      account_.retried = true;
      continue;
    }
    if (tried.end == End::switched) co_return co_await switch_over(request, std::move(*held), std::move(got->conn));
    unread_body_ = !request.whole && !body.complete();
    if (tried.end != End::answered) {
      // What a client spoils says nothing of the instance.
      if (tried.client_failed()) choice.forget();
      end_work(failure_of(tried.end));
      if (shadow && !tried.client_failed()) mirror(request, shadow, 0);
      co_return co_await answer_failed(request, tried, unread_body_);
    }
    if (shadow) begin_to_keep(kept_, *core_, answer_);
    const auto relayed =
        got->call ? co_await relay_over_h2(request, upload, *got->call) : co_await relay(request, *got->conn);
    if (!relayed.whole) kept_.drop();
    if (!relayed.whole && !relayed.broken) choice.forget();
    const bool late = relayed.broken && got->timed_out();
    if (relayed.reusable) core_->pool->put(held->target(), std::move(got->conn));
    end_work(relayed.broken               ? failure_of(late ? End::timeout : End::cut)
             : answer_.head.status >= 500 ? proxy::Failure::status_5xx
             : !relayed.whole             ? proxy::Failure::client_gone
                                          : proxy::Failure::none);
    if (shadow) mirror(request, shadow, relayed.broken ? 0 : answer_.head.status);
    if (unread_body_ && relayed.whole) co_await linger(client_);
    co_return relayed.keep;
  }
}

awaitable<Attempt> Session::attempt(Request& request, BodyReader& body, const Instance& target, Conn& upstream) {
  const auto framing = framing_to_instance(request);
  out_.clear();
  append_head_to_instance(out_, *core_, request, framing, target, arrival_, false);
  const auto tail = frame_read_ahead(out_, request, framing);
  upstream.watch().arm(core_->rules[request.segment].upstream_timeout);
  const auto written = co_await upstream.write({asio::buffer(out_), asio::buffer(request.body), asio::buffer(tail)});
  if (written.error && upstream.timed_out()) co_return Attempt{End::timeout, written.bytes};
  if (written.error && written.bytes == 0) co_return Attempt{End::gone, 0};
  // After a write that broke midway an answer may still wait to be read: a refusal, sent before the instance closed.
  if (!written.error && request.expects) {
    upstream.watch().arm(std::min(core_->rules[request.segment].upstream_timeout, kContinueWait));
    const auto early = co_await await_answer(upstream, core_->limits, request, true, answer_, answer_framing_, *this);
    const bool silent = early == End::timeout && upstream.unread().empty();
    if (early != End::go_on && !silent) co_return Attempt{early, written.bytes};
    client_.watch().arm(core_->settings.idle_timeout);
    if (silent && (co_await client_.write("HTTP/1.1 100 Continue\r\n\r\n")).error)
      co_return Attempt{End::client_gone, written.bytes};
  }
  if (!written.error && !request.whole)
    if (const auto end = co_await send_rest(request, body, upstream)) co_return Attempt{*end, written.bytes};
  upstream.watch().arm(core_->rules[request.segment].upstream_timeout);
  co_return Attempt{co_await await_answer(upstream, core_->limits, request, false, answer_, answer_framing_, *this),
                    written.bytes};
}

awaitable<std::optional<End>> Session::send_rest(Request& request, BodyReader& body, Conn& upstream) {
  const bool chunked = request.framing.kind == BodyKind::chunked;
  std::size_t total = request.body.size();
  if (spooling_) spool_ = request.body;
  for (;;) {
    auto state = body.ready();
    while (!state) {
      client_.watch().arm(core_->settings.idle_timeout);
      upstream.watch().disarm();
      // Whoever speaks first: an instance that answers (or leaves) now reads no further, so neither do we.
      const auto first = co_await (client_.fill() || upstream.readable());
      if (first.index() == 1) co_return std::nullopt;
      if (std::get<0>(first)) co_return End::client_gone;
      state = body.ready();
    }
    if (state == BodyReader::State::refused) co_return End::client_bad;
    if (state == BodyReader::State::done) break;
    const auto data = body.data();
    total += data.size();
    account_.bytes_in = total;
    if (!keep_for_mirror(data, total)) co_return End::too_large;
    // The same, when our client is so fast that nobody ever waits for it.
    if (!upstream.quiet()) co_return std::nullopt;
    out_.clear();
    if (chunked) append_chunk_head(out_, data.size());
    upstream.watch().arm(core_->rules[request.segment].upstream_timeout);
    const auto written = co_await upstream.write(
        {asio::buffer(out_), asio::buffer(data), asio::buffer(std::string_view(chunked ? "\r\n" : ""))});
    if (upstream.timed_out()) co_return End::timeout;
    if (written.error) co_return std::nullopt;
  }
  if (!chunked) co_return std::nullopt;
  out_ = "0\r\n" + body.trailers() + "\r\n";
  upstream.watch().arm(core_->rules[request.segment].upstream_timeout);
  co_await upstream.write(out_);
  co_return std::nullopt;
}

bool Session::keep_for_mirror(std::string_view data, std::size_t total) {
  const auto max = core_->options.max_body;
  if (max != 0 && total > max) return false;
  if (!spooling_) return true;
  spooling_ = total <= core_->settings.body_spool_max && core_->mirror->has_room(total);
  if (spooling_)
    spool_.append(data);
  else
    spool_ = {};
  return true;
}

awaitable<bool> Session::interim(const Answer& answer) {
  out_.clear();
  append_interim(out_, answer.head, read_connection(answer.head.fields));
  client_.watch().arm(core_->settings.idle_timeout);
  co_return !(co_await client_.write(out_)).error;
}

Framing Session::compose_head(const Request& request, const Connection& connection, std::string_view received,
                              bool& keep) {
  const auto& head = answer_.head;
  account_.status = head.status;
  if (core_->access_log) account_.first_byte_at = Steady::now();
  const auto framing = answer_framing_;
  auto to_client = framing;
  // An answer of unknown length: in chunks to who knows them, else to the end of the connection.
  if (framing.kind == BodyKind::chunked || framing.kind == BodyKind::until_close)
    to_client.kind = request.head.minor >= 1 ? BodyKind::chunked : BodyKind::until_close;
  keep = persistent(request.connection, request.head.minor) && to_client.kind != BodyKind::until_close &&
         !unread_body_ && !core_->watchdog->ending();
  const auto cookie = new_cookie(*core_, gate_, arrival_, request, answer_.head);
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

awaitable<Session::Relayed> Session::relay(const Request& request, Conn& upstream) {
  const auto& head = answer_.head;
  const auto connection = read_connection(head.fields);
  const auto framing = answer_framing_;
  Relayed relayed;
  const bool chunked = compose_head(request, connection, "1.1", relayed.keep).kind == BodyKind::chunked;

  // The head travels with the first of the body, if that is here already, and the end with the head, if there is none.
  BodyReader body(upstream, framing);
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
    client_.watch().arm(core_->settings.idle_timeout);
    const auto written = co_await client_.write({asio::buffer(out_), asio::buffer(body.data()), asio::buffer(tail)});
    if (written.error) co_return Relayed{};
    account_.bytes_out += body.data().size();
    if (done) break;
    kept_.keep(body.data());
    out_.clear();
    upstream.watch().arm(core_->rules[request.segment].upstream_timeout);
    state = co_await body.next();
    if (state == BodyReader::State::refused || state == BodyReader::State::broken) {
      // What the client has is not the whole: a reset says so, whatever framing it reads.
      error_code ignored;
      client_.socket().set_option(asio::socket_base::linger(true, 0), ignored);
      client_.socket().close(ignored);
      co_return Relayed{.broken = true};
    }
  }
  relayed.whole = true;
  relayed.reusable = framing.kind != BodyKind::until_close && persistent(connection, head.minor) && !unread_body_ &&
                     upstream.unread().empty();
  co_return relayed;
}

awaitable<bool> Session::answer_failed(const Request& request, Attempt attempt, bool close) {
  if (attempt.end == End::client_gone) co_return false;
  const auto words = words_for(attempt, is_safe(request.head.method));
  co_return co_await answer(&request, words.status, words.text, close || attempt.client_failed(), words.retry_soon);
}

void Session::mirror(const Request& request, std::shared_ptr<const Instance> to, int primary_status) {
  std::optional<std::string_view> body;
  if (request.whole)
    body = request.body;
  else if (spooling_ && !unread_body_)
    body = spool_;
  offer_copy(*core_, gate_, request, body, std::move(to), arrival_, primary_status, kept_);
}

}  // namespace foreshadow::kinds::http
