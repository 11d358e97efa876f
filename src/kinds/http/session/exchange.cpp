// The part of a session between the gate and the answer: one request, one instance, and where that fails, what the
// ledger and the insurance allow.
#include <algorithm>
#include <boost/asio/error.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/socket_base.hpp>
#include <variant>

#include "kinds/http/session/body_pace.hpp"
#include "kinds/http/session/deadline.hpp"
#include "kinds/http/session/insured_body.hpp"
#include "kinds/http/session/ledger.hpp"
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
  // Given back before an answer of our own goes out: a slow client's reading is not the instance's work.
  std::optional<proxy::Pass> held(std::move(pass));
  const bool switches = !request.upgrade.empty();
  MirrorChoice choice;
  auto shadow = !switches && may_mirror(*core_, gate_, request, *held)
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
  const auto give_back = [&](proxy::Failure why) {
    choice.forget();
    held->give_back(why);
    held.reset();
  };
  spooling_ = shadow && !request.whole;
  spool_.clear();
  unread_body_ = false;

  const auto& rules = core_->rules[request.segment];
  const auto claim = claim_of(request, rules.idempotency_key);
  const bool safe = claim.safe;
  Cover cover(*core_, gate_, arrival_, request);
  cover.begin(*held);
  const auto work = held->work();
  int again = 0;  // through the gate
  bool resent = false;
  bool in_doubt = false;  // something may have been done, and nobody knows
  const auto connect_timeout = std::min(upstream_timeout(request), kConnectMax);
  // A method that is safe may be sent twice, but not an offer to become something else: that never meets a connection
  // that may just be closing, and so is never sent again.
  Millis idle_age_max = switches ? Millis{0} : safe ? kIdleAgeMax : kIdleAgeMaxUnsafe;
  Upload upload(*this, request, body);
  for (;;) {
    auto kept = core_->pool->kept(held->target(), idle_age_max, safe && claim.whole, switches);
    auto got = kept ? Result<Pool::Got>(std::move(*kept))
                    : co_await core_->pool->get(held->target(), connect_timeout, idle_age_max, switches);
    Tried tried{.connected = got.has_value(), .reused = got && got->reused, .again = again, .resent = resent};
    if (got)
      tried.attempt = got->call ? co_await attempt_over_h2(request, upload, held->target(), *got->call)
                                : co_await attempt(request, body, held->target(), *got->conn);
    const auto end = tried.attempt.end;
    if (got && end == End::switched) co_return co_await switch_over(request, std::move(*held), std::move(got->conn));
    if (got && !safe && core_->insurer) core_->insurer->wrote(arrival_, request.head, Steady::now());
    if (!got || end != End::answered) {
      tried.moved = has_moved(gate_, *held);
      tried.may_wait =
          held->side() == proxy::Side::current && Steady::now() - request.received_at < gate_.unreachable_wait();
      const auto retry = may_retry(claim, tried);
      account_.retried = account_.retried || retry != Retry::no;
      resent = resent || retry == Retry::at_once;
      idle_age_max = Millis{0};
      if (retry == Retry::at_once) continue;
      const bool client_failed = got && tried.attempt.client_failed();
      unread_body_ = !request.whole && !body.complete();
      in_doubt = in_doubt || perhaps_done(claim, tried);
      // What a client spoils says nothing of the instance.
      if (client_failed) choice.forget();
      if (retry == Retry::through_gate && is_given_back(claim, tried))
        give_back(got ? proxy::Failure::none : proxy::Failure::connect);
      else
        end_work(got ? failure_of(end) : proxy::Failure::connect);
      // It need not go on for nobody.
      if (got) got->drop();
      if (retry == Retry::through_gate) {
        auto pass = co_await enter_again(request, work);
        if (!pass) {
          account_.refused = !in_doubt;
          if (!in_doubt) gate_.refused(request.segment);
          const auto words = honest({503, pass.error().what, true}, in_doubt);
          co_return co_await answer(&request, words.status, words.text, unread_body_, words.retry_soon);
        }
        held.emplace(std::move(*pass));
        if (core_->access_log) account_.enter(held->target().id, held->side(), false);
        cover.begin(*held);
        shadow = nullptr;
        ++again;
        continue;
      }
      if (!client_failed && co_await cover.ask()) co_return co_await relay_insured(request, cover);
      if (got && shadow && !client_failed && !cover.asked()) mirror(request, shadow, 0);
      if (got && end == End::client_gone) co_return false;
      const auto words = honest(got ? words_for(tried.attempt, safe) : words_for_no_connection(got.error()), in_doubt);
      co_return co_await answer(&request, words.status, words.text, unread_body_ || client_failed, words.retry_soon);
    }
    unread_body_ = !request.whole && !body.complete();
    if (cover.counts(answer_.head.status) && co_await cover.ask()) {
      got->drop();
      end_work(proxy::Failure::status_5xx);
      co_return co_await relay_insured(request, cover);
    }
    if (shadow) begin_to_keep(kept_, *core_, answer_);
    const auto relayed = got->call ? co_await relay_over_h2(request, upload, *got->call)
                                   : co_await relay(request, *got->conn, answer_, answer_framing_, cover);
    const bool cut = relayed.broken || relayed.insured;
    if (!relayed.whole || cut) kept_.drop();
    if (!relayed.whole && !cut) choice.forget();
    const bool late = relayed.insured ? relayed.late : cut && got->timed_out();
    if (relayed.reusable) core_->pool->put(held->target(), std::move(got->conn));
    end_work(cut                          ? failure_of(late ? End::timeout : End::cut)
             : answer_.head.status >= 500 ? proxy::Failure::status_5xx
             : !relayed.whole             ? proxy::Failure::client_gone
                                          : proxy::Failure::none);
    if (shadow && !cover.asked()) mirror(request, shadow, cut ? 0 : answer_.head.status);
    if (unread_body_ && relayed.whole) co_await linger(client_);
    co_return relayed.keep;
  }
}

awaitable<Result<proxy::Pass>> Session::enter_again(const Request& request, proxy::Work work) {
  client_.watch().disarm();
  const auto since_when = Steady::now();
  auto pass = co_await enter_in_time(gate_, request, work, work == proxy::Work::read);
  account_.waited += Steady::now() - since_when;
  co_return pass;
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
  if (spooling_) spool_ = request.body;
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
    if (!keep_for_mirror(data, total)) co_return End::too_large;
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

awaitable<Session::Relayed> Session::relay(const Request& request, Conn& upstream, const Answer& answer,
                                           const Framing& framing, Cover& cover) {
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
    kept_.keep(body.data());
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

void Session::mirror(const Request& request, std::shared_ptr<const Instance> to, int primary_status) {
  std::optional<std::string_view> body;
  if (request.whole)
    body = request.body;
  else if (spooling_ && !unread_body_)
    body = spool_;
  offer_copy(*core_, gate_, request, body, std::move(to), arrival_, primary_status, kept_);
}

}  // namespace foreshadow::kinds::http
