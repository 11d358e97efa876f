#include "kinds/http/h2/exchange.hpp"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

#include "kinds/http/session/access_log.hpp"
#include "kinds/http/session/body_pace.hpp"
#include "kinds/http/session/date.hpp"
#include "kinds/http/session/deadline.hpp"
#include "kinds/http/session/insured_body.hpp"
#include "kinds/http/session/ledger.hpp"
#include "kinds/http/wire/chunked.hpp"
#include "kinds/http/wire/grpc.hpp"
#include "kinds/http/wire/text.hpp"
#include "proxy/conn/coarse_clock.hpp"

namespace foreshadow::kinds::http::h2 {

namespace asio = boost::asio;
using namespace asio::experimental::awaitable_operators;

namespace {
// Chunks of an answer that came in one read and are handed on together.
constexpr int kPiecesMax = 64;
// What most heads fit into.
constexpr std::size_t kHeadRoom = 1024;
}  // namespace

Exchange::Exchange(Link& link, Stream& stream, asio::steady_timer& changed, asio::cancellation_signal& cancel)
    : link_(link), stream_(stream), changed_(changed), cancel_(cancel) {
  stream_.owner = this;
}

Exchange::~Exchange() {
  link_.mux.release(stream_, std::min(proxy::coarse_now() + link_.core.settings.idle_timeout, request_.until));
}

void Exchange::changed() {
  changed_.cancel();
  if (stream_.closed()) cancel_.emit(asio::cancellation_type::terminal);
}

awaitable<bool> Exchange::change_until(Steady::time_point deadline) {
  changed_.expires_at(deadline);
  const auto [error] = co_await changed_.async_wait(asio::as_tuple(asio::use_awaitable));
  co_return error == asio::error::operation_aborted;
}

awaitable<void> Exchange::run() {
  const LogAtEnd log(link_.core.access_log.get(), request_, account_, link_.client);
  if (!read_head()) co_return;
  if ((!request_.whole || stream_.trailers.list_bytes() > 0) && !co_await read_ahead()) co_return;
  request_.received_at = Steady::now();
  if (const auto here = words_for_last_hop(request_.head)) co_return answer(here->status, here->text);
  identify(request_.identity, request_.head, request_.connection, link_.core.identity, link_.core.random);
  request_.segment = link_.core.matcher.match(request_.head, request_.connection);
  account_.matched = true;
  begin_time(link_.core, request_);
  request_.client = link_.client.affinity.key(link_.core.rules[request_.segment].sticky, request_.head);
  const auto work = work_of(link_.core, request_);
  if (auto pass = link_.gate.try_enter(request_.segment, request_.client.sticky, work))
    co_return co_await exchange(std::move(*pass));
  // Parked, or in a queue: the gate has its own caps.
  auto pass = co_await enter_in_time(link_.gate, request_, work, false);
  co_await go_in(std::move(pass));
}

awaitable<void> Exchange::go_in(Result<proxy::Pass> pass) {
  account_.waited = Steady::now() - request_.received_at;
  if (pass) co_return co_await exchange(std::move(*pass));
  if (stream_.closed()) co_return;
  link_.gate.refused(request_.segment);
  account_.refused = true;
  answer(503, pass.error().what, true);
}

Millis Exchange::upstream_timeout() const {
  return left_of(request_, link_.core.rules[request_.segment].upstream_timeout);
}

bool Exchange::read_head() {
  if (stream_.closed()) return false;
  const auto& core = link_.core;
  auto text = stream_.head.request_text();
  if (!text) return answer(text.error().status, text.error().why), false;
  request_.bytes = std::move(*text);
  // The head holds views: parsed where it will stay. Its bytes were counted as they came, and framing adds some.
  auto limits = core.limits;
  limits.fields_max += 2;
  auto head = parse_request_head(request_.bytes, limits);
  if (!head) return answer(head.error().status, head.error().why), false;
  request_.head = std::move(*head);
  request_.connection = read_connection(request_.head.fields);
  if (request_.connection.expects_other) return answer(417, "only 100-continue can be expected"), false;
  const auto framing = request_framing(request_.head);
  if (!framing) return answer(framing.error().status, framing.error().why), false;
  request_.framing = *framing;
  request_.whole = stream_.ended() && stream_.body.empty();
  // A body, or trailers, whose length nobody told. Where one was told, nghttp2 compares.
  if (framing->kind == BodyKind::none && (!request_.whole || stream_.trailers.list_bytes() > 0))
    request_.framing.kind = BodyKind::chunked;
  if (is_too_large(core, framing->length)) return answer(413, "the body is longer than is allowed here"), false;
  request_.received = "2.0";
  const auto* te = find_field(request_.head.fields, "te");
  request_.takes_trailers = te && equals_lower(te->value, "trailers");
  // A client that has begun with its body waits for nothing.
  request_.expects = request_.connection.expects_continue && !stream_.ended() && stream_.body.empty();
  return true;
}

awaitable<bool> Exchange::read_ahead() {
  const auto enough = std::min<std::size_t>(kReadAheadMax, link_.core.options.h2.stream_window);
  auto deadline = patience();
  std::size_t seen = 0;
  // A call of gRPC may wait for an answer before it says more.
  const bool talks = link_.core.options.upstream_h2.speak != h2client::Speak::http1 && is_grpc(request_.head);
  while (!talks && !request_.expects && !stream_.closed() && !stream_.ended() && stream_.body.size() < enough &&
         !link_.mux.pressed()) {
    if (stream_.body.size() > seen) deadline = patience();
    seen = stream_.body.size();
    if (!co_await change_until(deadline) && !stream_.closed())
      co_return answer(408, "the body did not come within its time"), false;
  }
  if (stream_.closed()) co_return false;
  request_.body = std::exchange(stream_.body, {});
  if (is_too_large(link_.core, request_.body.size()))
    co_return answer(413, "the body is longer than is allowed here"), false;
  request_.whole = stream_.ended();
  co_return !request_.whole || read_trailers();
}

bool Exchange::read_trailers() {
  auto trailers = stream_.trailers.trailer_text();
  if (!trailers) return answer(trailers.error().status, trailers.error().why), false;
  request_.trailers = std::move(*trailers);
  return true;
}

awaitable<void> Exchange::exchange(proxy::Pass pass) {
  Errand errand(link_.core, link_.gate, link_.client, request_, account_, copy_, std::move(pass),
                [this] { return stream_.closed(); });
  sent_whole_ = request_.whole;
  for (;;) {
    if (stream_.closed()) co_return errand.end(proxy::Failure::client_gone);
    auto kept = errand.kept();
    auto got = kept ? Errand::Got(std::move(*kept)) : co_await errand.connect();
    if (stream_.closed()) co_return errand.end(proxy::Failure::client_gone);
    Attempt tried;
    if (got)
      tried = got->call ? co_await attempt(errand.target(), *got->call) : co_await attempt(errand.target(), *got->conn);
    if (stream_.closed()) tried = {End::client_gone, tried.bytes_sent};
    const auto next = errand.tried(got, tried);
    if (next == Errand::Next::resend) continue;
    if (next == Errand::Next::enter_again) {
      const auto entered = co_await errand.enter_again();
      if (entered) continue;
      if (stream_.closed()) co_return;
      const auto words = errand.refused(entered.error());
      co_return answer(words.status, words.text, words.retry_soon);
    }
    if (next == Errand::Next::give_up) {
      if (!tried.client_failed() && co_await errand.cover().ask()) co_return co_await relay_insured(errand.cover());
      if (stream_.closed()) co_return;
      errand.copy_unanswered(sent_whole_);
      if (tried.end == End::client_gone) co_return link_.mux.reset(stream_, ErrorCode::cancel);
      const auto words = errand.words(got, tried);
      co_return answer(words.status, words.text, words.retry_soon);
    }
    if (errand.cover().counts(answer_.head.status) && co_await errand.cover().ask()) {
      got->drop();
      errand.end(proxy::Failure::status_5xx);
      co_return co_await relay_insured(errand.cover());
    }
    if (stream_.closed()) co_return errand.end(proxy::Failure::client_gone);
    // Until now it might have had to be sent again.
    if (request_.whole) consumed(request_.body.size());
    errand.begin_relay(answer_);
    const auto relayed = got->call ? co_await relay(*got->call, errand.pass())
                                   : co_await relay(*got->conn, answer_, answer_framing_, errand.cover());
    co_return errand.relayed(*got, answer_.head.status, relayed, sent_whole_);
  }
}

awaitable<Attempt> Exchange::attempt(const Instance& target, Conn& upstream) {
  const auto& core = link_.core;
  const auto framing = framing_to_instance(request_);
  out_.clear();
  out_.reserve(kHeadRoom);
  append_head_to_instance(out_, core, request_, framing, target, link_.client, false);
  const auto tail = frame_read_ahead(out_, request_, framing);
  upstream.watch().arm(upstream_timeout());
  Conn::Parts parts{asio::buffer(out_), asio::buffer(request_.body), asio::buffer(tail)};
  Conn::Written written;
  if (!upstream.write_now(parts, written)) written = co_await upstream.write_on(parts, written);
  if (stream_.closed()) co_return Attempt{End::client_gone, written.bytes};
  if (written.error && upstream.timed_out()) co_return Attempt{End::timeout, written.bytes};
  if (written.error && written.bytes == 0) co_return Attempt{End::gone, 0};
  // After a write that broke midway an answer may still wait to be read: a refusal, sent before the instance closed.
  if (!written.error && request_.expects) {
    upstream.watch().arm(std::min(upstream_timeout(), kContinueWait));
    const auto early = co_await await_answer(upstream, core.limits, request_, true, answer_, answer_framing_, *this);
    const bool silent = early == End::timeout && upstream.unread().empty();
    if (early != End::go_on && !silent) co_return Attempt{early, written.bytes};
    if (silent) {
      link_.mux.interim(stream_, 100, {});
      link_.write_soon();
    }
  }
  if (!written.error && !request_.whole)
    if (const auto end = co_await send_rest(upstream)) co_return Attempt{*end, written.bytes};
  upstream.watch().arm(upstream_timeout());
  co_return Attempt{co_await await_answer(upstream, core.limits, request_, false, answer_, answer_framing_, *this),
                    written.bytes};
}

awaitable<std::optional<End>> Exchange::send_rest(Conn& upstream) {
  const bool chunked = request_.framing.kind == BodyKind::chunked;
  std::size_t total = request_.body.size();
  copy_.begin_body(request_.body);
  consume_ahead();
  BodyPace pace(link_.core.options.clients.body_bytes_per_s_min, link_.core.settings.idle_timeout);
  std::string data;
  for (;;) {
    const auto deadline = Steady::now() + left_of(request_, pace.begin(total));
    while (stream_.body.empty() && !stream_.ended() && !stream_.closed()) {
      upstream.watch().disarm();
      // Whoever speaks first: an instance that answers (or leaves) now reads no further, so neither do we.
      const auto first = co_await (change_until(deadline) || upstream.readable());
      if (stream_.closed()) break;
      if (first.index() == 1) co_return std::nullopt;
      if (!std::get<0>(first)) co_return End::client_gone;
    }
    pace.end();
    if (stream_.closed()) co_return End::client_gone;
    if (stream_.body.empty()) break;
    data.clear();
    data.swap(stream_.body);
    total += data.size();
    account_.bytes_in = total;
    if (is_too_large(link_.core, total)) co_return End::too_large;
    copy_.keep_body(link_.core, data, total);
    // The same, when our client is so fast that nobody ever waits for it.
    if (!upstream.quiet()) co_return std::nullopt;
    out_.clear();
    if (chunked) append_chunk_head(out_, data.size());
    upstream.watch().arm(upstream_timeout());
    const auto written = co_await upstream.write(
        {asio::buffer(out_), asio::buffer(data), asio::buffer(std::string_view(chunked ? "\r\n" : ""))});
    if (stream_.closed()) co_return End::client_gone;
    if (upstream.timed_out()) co_return End::timeout;
    if (written.error) co_return std::nullopt;
    consumed(data.size());
  }
  auto trailers = stream_.trailers.trailer_text();
  if (!trailers) co_return End::client_bad;
  sent_whole_ = true;
  if (!chunked) co_return std::nullopt;
  out_ = "0\r\n" + *trailers + "\r\n";
  upstream.watch().arm(upstream_timeout());
  co_await upstream.write(out_);
  co_return std::nullopt;
}

void Exchange::consumed(std::size_t bytes) {
  if (bytes == 0) return;
  link_.mux.consume(stream_, bytes);
  link_.write_soon();
}

void Exchange::consume_ahead() {
  if (!std::exchange(consumed_ahead_, true)) consumed(request_.body.size());
}

awaitable<bool> Exchange::interim(const Answer& answer) {
  const auto connection = read_connection(answer.head.fields);
  response_fields(link_.fields, answer.head, connection, {}, {});
  link_.mux.interim(stream_, answer.head.status, link_.fields);
  link_.write_soon();
  co_return !stream_.closed();
}

awaitable<void> Exchange::relay_insured(Cover& cover) {
  if (request_.whole) consumed(request_.body.size());
  const auto relayed = co_await relay(cover.conn(), cover.answer(), cover.framing(), cover);
  cover.finish(relayed.reusable);
}

void Exchange::answer_head(const ResponseHead& head, const Connection& connection, std::string_view received,
                           std::string_view length, bool body, bool mark) {
  account_.status = head.status;
  if (link_.core.access_log) account_.first_byte_at = Steady::now();
  const auto path = via(head.fields, received);
  auto& fields = link_.fields;
  response_fields(fields, head, connection, path, length);
  const auto cookie = new_cookie(link_.core, link_.gate, link_.client, request_, head);
  if (!cookie.empty()) fields.push_back({"set-cookie", cookie});
  if (mark) fields.push_back({"x-foreshadow-insured", kInsuredValue});
  link_.mux.answer(stream_, head.status, fields, body);
}

awaitable<Relayed> Exchange::relay(Conn& upstream, const Answer& answer, const Framing& framing, Cover& cover) {
  const auto& head = answer.head;
  account_.insured = cover.served();
  const auto connection = read_connection(head.fields);
  // The answer to HEAD, or 304: Content-Length tells of a body that is not sent.
  std::string length;
  if (framing.kind == BodyKind::length)
    length = std::to_string(framing.length);
  else if (const auto* told = find_field(head.fields, "content-length");
           told && framing.kind == BodyKind::none && head.status != 204)
    length = told->value;
  auto& mux = link_.mux;
  answer_head(head, connection, "1.1", length, !framing.empty(), cover.marks());

  InsuredBody body(upstream, framing, cover.watch(answer, framing) ? &cover : nullptr);
  std::optional<BodyReader::State> state = body.ready();
  while (!framing.empty()) {
    for (int n = 0; state == BodyReader::State::data && n < kPiecesMax; ++n) {
      mux.offer(stream_, body.data());
      copy_.keep_answer(body.data());
      account_.bytes_out += body.data().size();
      state = body.ready();
    }
    if (state == BodyReader::State::done) {
      mux.finish(stream_, body.trailers());
      if (mux.keep(stream_)) break;
    }
    if (state == BodyReader::State::refused || state == BodyReader::State::broken) {
      // What the client has is not the whole.
      mux.reset(stream_, ErrorCode::internal_error);
      link_.write_soon();
      co_return Relayed{.broken = !stream_.closed(), .insured = body.completed(), .late = body.late()};
    }
    if (!co_await taken()) co_return Relayed{.insured = body.completed(), .late = body.late()};
    if (state == BodyReader::State::done) break;
    if (state) continue;
    state = co_await body.next(upstream_timeout());
    account_.insured = account_.insured || body.completed();
  }
  link_.write_soon();
  co_return Relayed{.whole = true,
                    .insured = body.completed(),
                    .late = body.late(),
                    .reusable = !body.completed() && framing.kind != BodyKind::until_close &&
                                persistent(connection, head.minor) && sent_whole_ && upstream.unread().empty()};
}

awaitable<bool> Exchange::taken() {
  link_.write_soon();
  const auto deadline = std::min(patience(), request_.until);
  while (stream_.pending() > 0 && !stream_.closed())
    if (!co_await change_until(deadline)) {
      link_.mux.reset(stream_, ErrorCode::cancel);
      link_.write_soon();
      co_return false;
    }
  co_return stream_.pending() == 0;
}

void Exchange::answer(int status, std::string_view text, bool retry_soon) {
  std::string body(text);
  body += '\n';
  const auto date = date_now();
  if (is_grpc(request_.head)) {
    account_.answer_ourselves(status, 0);
    const auto code = std::to_string(grpc_status(status, retry_soon));
    const auto message = grpc_message(text);
    link_.mux.answer_whole(
        stream_, 200,
        {{"date", date}, {"content-type", "application/grpc"}, {"grpc-status", code}, {"grpc-message", message}}, {});
    return link_.write_soon();
  }
  const auto length = std::to_string(body.size());
  FieldList fields{{"date", date}, {"content-type", "text/plain; charset=utf-8"}, {"content-length", length}};
  if (retry_soon) fields.push_back({"retry-after", "1"});
  if (request_.head.method == "HEAD") body.clear();
  account_.answer_ourselves(status, body.size());
  link_.mux.answer_whole(stream_, status, fields, std::move(body));
  link_.write_soon();
}

}  // namespace foreshadow::kinds::http::h2
