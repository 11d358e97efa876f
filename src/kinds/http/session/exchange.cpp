// The part of a session between the gate and the answer: one request, one instance, at most one retry.
#include <algorithm>
#include <boost/asio/error.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/socket_base.hpp>
#include <variant>

#include "kinds/http/session/session.hpp"

namespace foreshadow::kinds::http {

namespace asio = boost::asio;
using Steady = Watch::Steady;
using namespace asio::experimental::awaitable_operators;

namespace {
constexpr Millis kConnectMax{5000};
constexpr Millis kIdleAgeMax{30'000};
// The instance may close an idle connection at the very moment we send on it. A safe request is then sent again; for
// others a connection is only used while no sensible server would think of closing it.
constexpr Millis kIdleAgeMaxUnsafe{1000};
// RFC 9110, section 10.1.1: an instance that knows nothing of 100 stays silent, and nobody should wait for it for long.
constexpr Millis kContinueWait{1000};
constexpr int kInterimMax = 16;

proxy::Micros since(Steady::time_point then) { return std::chrono::duration_cast<proxy::Micros>(Steady::now() - then); }
}  // namespace

awaitable<bool> Session::exchange(Request& request, BodyReader& body, proxy::Pass pass) {
  // Given back before an answer of our own goes out: a slow client's reading is not the instance's work.
  std::optional<proxy::Pass> held(std::move(pass));
  const auto shadow = may_mirror(request) ? held->mirror() : nullptr;
  const auto end_work = [&](bool ok) {
    held->finish(ok, since(request.received_at));
    held.reset();
  };
  spooling_ = shadow && !request.whole;
  spool_.clear();
  unread_body_ = false;

  const bool safe = is_safe(request.head.method);
  const auto connect_timeout = std::min(core_->settings.upstream_timeout, kConnectMax);
  Millis idle_age_max = safe ? kIdleAgeMax : kIdleAgeMaxUnsafe;
  for (;;) {
    auto got = co_await core_->pool->get(held->target(), connect_timeout, idle_age_max);
    if (!got) {
      end_work(false);
      const bool late = got.error().code == Code::timeout;
      co_return co_await answer(&request, late ? 504 : 503,
                                late ? "no connection to the service in time; nothing was sent to it"
                                     : "no connection to the service; nothing was sent to it",
                                !request.whole, true);
    }
    const auto tried = co_await attempt(request, body, held->target(), *got->conn);
    const bool unprocessed = tried.end == End::gone && (tried.bytes_sent == 0 || safe);
    if (unprocessed && got->reused && request.whole) {
      idle_age_max = Millis{0};
      continue;
    }
    unread_body_ = !request.whole && !body.complete();
    if (tried.end != End::answered) {
      // What a client spoils says nothing of the instance.
      end_work(tried.client_failed());
      if (shadow && !tried.client_failed()) mirror(request, shadow, 0);
      co_return co_await answer_failed(request, tried, unread_body_);
    }
    const auto relayed = co_await relay(request, *got->conn);
    if (relayed.reusable) core_->pool->put(held->target(), std::move(got->conn));
    end_work(answer_.head.status < 500 && !relayed.broken);
    if (shadow) mirror(request, shadow, relayed.broken ? 0 : answer_.head.status);
    if (unread_body_ && relayed.whole) co_await linger();
    co_return relayed.keep;
  }
}

awaitable<Session::Attempt> Session::attempt(Request& request, BodyReader& body, const Instance& target,
                                             Conn& upstream) {
  auto framing = request.framing;
  // A chunked body that is here whole goes on with its length, unless it has trailers to carry.
  if (framing.kind == BodyKind::chunked && request.whole && request.trailers.empty())
    framing = {BodyKind::length, request.body.size()};
  const auto fallback_host = request.head.host.empty() ? target.endpoint.text() : std::string{};
  out_.clear();
  append_request(out_, request.head, request.connection,
                 {.framing = framing,
                  .client_address = client_address_,
                  .fallback_host = fallback_host,
                  .trust_forwarded = core_->options.trust_forwarded,
                  .expect_continue = request.expects});
  std::string tail;
  if (framing.kind == BodyKind::chunked) {
    if (!request.body.empty()) {
      append_chunk_head(out_, request.body.size());
      tail = "\r\n";
    }
    if (request.whole) tail += "0\r\n" + request.trailers + "\r\n";
  }
  upstream.watch().arm(core_->settings.upstream_timeout);
  const auto written = co_await upstream.write({asio::buffer(out_), asio::buffer(request.body), asio::buffer(tail)});
  if (written.error && upstream.timed_out()) co_return Attempt{End::timeout, written.bytes};
  if (written.error && written.bytes == 0) co_return Attempt{End::gone, 0};
  // After a write that broke midway an answer may still wait to be read: a refusal, sent before the instance closed.
  if (!written.error && request.expects) {
    upstream.watch().arm(std::min(core_->settings.upstream_timeout, kContinueWait));
    const auto early = co_await await_answer(request, upstream, true);
    const bool silent = early == End::timeout && upstream.unread().empty();
    if (early != End::go_on && !silent) co_return Attempt{early, written.bytes};
    client_.watch().arm(core_->settings.idle_timeout);
    if (silent && (co_await client_.write("HTTP/1.1 100 Continue\r\n\r\n")).error)
      co_return Attempt{End::client_gone, written.bytes};
  }
  if (!written.error && !request.whole)
    if (const auto end = co_await send_rest(request, body, upstream)) co_return Attempt{*end, written.bytes};
  upstream.watch().arm(core_->settings.upstream_timeout);
  co_return Attempt{co_await await_answer(request, upstream, false), written.bytes};
}

awaitable<std::optional<Session::End>> Session::send_rest(Request& request, BodyReader& body, Conn& upstream) {
  const bool chunked = request.framing.kind == BodyKind::chunked;
  const auto max = core_->options.max_body;
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
    if (max != 0 && total > max) co_return End::too_large;
    if (spooling_) {
      spooling_ = total <= core_->settings.body_spool_max && core_->mirror->has_room(total);
      if (spooling_)
        spool_.append(data);
      else
        spool_ = {};
    }
    // The same, when our client is so fast that nobody ever waits for it.
    if (!upstream.quiet()) co_return std::nullopt;
    out_.clear();
    if (chunked) append_chunk_head(out_, data.size());
    upstream.watch().arm(core_->settings.upstream_timeout);
    const auto written = co_await upstream.write(
        {asio::buffer(out_), asio::buffer(data), asio::buffer(std::string_view(chunked ? "\r\n" : ""))});
    if (upstream.timed_out()) co_return End::timeout;
    if (written.error) co_return std::nullopt;
  }
  if (!chunked) co_return std::nullopt;
  out_ = "0\r\n" + body.trailers() + "\r\n";
  upstream.watch().arm(core_->settings.upstream_timeout);
  co_await upstream.write(out_);
  co_return std::nullopt;
}

awaitable<Session::End> Session::await_answer(const Request& request, Conn& upstream, bool until_continue) {
  for (int interim = 0; interim <= kInterimMax; ++interim) {
    co_await read_answer(upstream, core_->limits, answer_);
    switch (answer_.state) {
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
    const int status = answer_.head.status;
    if (status >= 200) {
      const auto framing = response_framing(answer_.head, request.head.method);
      if (!framing) co_return End::bad;
      answer_framing_ = *framing;
      co_return End::answered;
    }
    // Nobody offered to switch.
    if (status == 101) co_return End::bad;
    // A 100 that nobody waits for, as after we said it ourselves, is not passed on.
    const bool wanted = status == 100 ? until_continue : request.head.minor >= 1;
    if (wanted) {
      out_.clear();
      append_interim(out_, answer_.head, read_connection(answer_.head.fields));
      client_.watch().arm(core_->settings.idle_timeout);
      if ((co_await client_.write(out_)).error) co_return End::client_gone;
    }
    if (status == 100 && until_continue) co_return End::go_on;
  }
  co_return End::bad;
}

awaitable<Session::Relayed> Session::relay(const Request& request, Conn& upstream) {
  const auto& head = answer_.head;
  const auto connection = read_connection(head.fields);
  const auto framing = answer_framing_;
  auto to_client = framing;
  // An answer of unknown length: in chunks to who knows them, else to the end of the connection.
  if (framing.kind == BodyKind::chunked || framing.kind == BodyKind::until_close)
    to_client.kind = request.head.minor >= 1 ? BodyKind::chunked : BodyKind::until_close;
  const bool chunked = to_client.kind == BodyKind::chunked;
  Relayed relayed;
  relayed.keep = persistent(request.connection, request.head.minor) && to_client.kind != BodyKind::until_close &&
                 !unread_body_ && !core_->watchdog->ending();
  out_.clear();
  append_response(out_, head, connection,
                  {.framing = to_client,
                   .keep_length = framing.kind == BodyKind::none && head.status != 204,
                   .close = !relayed.keep,
                   .client_minor = request.head.minor});

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
    if (done) break;
    out_.clear();
    upstream.watch().arm(core_->settings.upstream_timeout);
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
  const bool safe = is_safe(request.head.method);
  switch (attempt.end) {
    case End::timeout:
      co_return co_await answer(&request, 504,
                                safe ? "the service did not answer in time"
                                     : "the service did not answer in time; whether it did the work is not known",
                                close);
    case End::gone:
      if (attempt.bytes_sent == 0)
        co_return co_await answer(&request, 503, "the service closed the connection; nothing was sent to it", close,
                                  true);
      [[fallthrough]];
    case End::cut:
      co_return co_await answer(
          &request, 502,
          safe ? "the service closed the connection before it answered"
               : "the service closed the connection before it answered; whether it did the work is not known",
          close);
    case End::client_bad:
      co_return co_await answer(&request, 400, "malformed body", true);
    case End::too_large:
      co_return co_await answer(&request, 413, "the body is longer than is allowed here", true);
    case End::client_gone:
      co_return false;
    case End::bad:
    case End::answered:
    case End::go_on:
      break;
  }
  co_return co_await answer(&request, 502, "the service gave an answer that cannot be understood", close);
}

bool Session::may_mirror(const Request& request) const {
  return is_safe(request.head.method) || core_->honours_mirror_mark(request.segment);
}

void Session::mirror(const Request& request, std::shared_ptr<const Instance> to, int primary_status) {
  const auto& body = request.whole ? request.body : spool_;
  const bool spooled = request.whole || (spooling_ && !unread_body_);
  if (!spooled || !core_->mirror->has_room(request.bytes.size() + body.size())) {
    gate_.mirrored(request.segment, {.dropped = true});
    return;
  }
  auto framing = request.framing;
  if (framing.kind == BodyKind::chunked) framing = {BodyKind::length, body.size()};
  const auto fallback_host = request.head.host.empty() ? to->endpoint.text() : std::string{};
  proxy::Gate* const gate = &gate_;
  MirrorJob job{gate, std::move(to), request.segment, std::string(request.head.method), {}, primary_status};
  append_request(job.bytes, request.head, request.connection,
                 {.framing = framing,
                  .client_address = client_address_,
                  .fallback_host = fallback_host,
                  .trust_forwarded = core_->options.trust_forwarded,
                  .mirror = true});
  job.bytes.append(body);
  core_->mirror->offer(std::move(job));
}

}  // namespace foreshadow::kinds::http
