#include "kinds/http/session/session.hpp"

#include <boost/asio/error.hpp>

#include "kinds/http/h2/session.hpp"
#include "kinds/http/session/access_log.hpp"
#include "kinds/http/session/date.hpp"
#include "kinds/http/session/deadline.hpp"
#include "kinds/http/session/ledger.hpp"
#include "kinds/http/wire/upgrade.hpp"

namespace foreshadow::kinds::http {

namespace asio = boost::asio;

namespace {
constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
// Busy connections never pause so long, and those that do can afford the few system calls of waking up.
constexpr Millis kRestAfter{1000};
// Of a client that has gone, or never said anything: there is nobody to be told.
constexpr Refusal kNothing{0, ""};
}  // namespace

Session::Session(std::shared_ptr<Core> core, asio::ip::tcp::socket client, proxy::Gate& gate)
    : core_(std::move(core)), client_(std::move(client), core_->watchdog), gate_(gate), arrival_(peer_of(client_)) {}

awaitable<void> Session::run() {
  mark_ = gate_.session();
  if (!admit(*core_, arrival_, place_)) co_return;
  if (core_->has_arrivals() && !co_await arrive(*core_, client_, arrival_, place_)) co_return;
  if (may_speak_h2()) {
    if (client_.unread().empty() && !co_await await_request()) co_return;
    if (co_await begins_with_preface()) co_return co_await h2::serve(core_, client_, gate_, arrival_);
  }
  if (core_->options.h2.offer == h2::Offer::only || client_.alpn() == "h2") co_return co_await linger(client_);
  while (co_await serve_one()) {
  }
  if (client_.is_secure()) co_await client_.finish();
}

bool Session::may_speak_h2() const {
  // Under TLS it is ALPN that chooses, and who did not choose h2 cannot mean it (RFC 9113, section 3.2).
  return core_->options.h2.offer != h2::Offer::http1 && (!client_.is_secure() || client_.alpn() == "h2");
}

awaitable<bool> Session::begins_with_preface() {
  client_.watch().arm(core_->settings.header_timeout);
  while (client_.unread().size() < kPreface.size() && kPreface.starts_with(client_.unread()))
    if (co_await client_.fill()) co_return false;
  if (!client_.unread().starts_with(kPreface)) co_return false;
  client_.consume(kPreface.size());
  co_return true;
}

awaitable<bool> Session::serve_one() {
  if (client_.unread().empty() && !co_await await_request()) co_return false;
  Request request;
  account_ = {};
  const LogAtEnd log(core_->access_log.get(), request, account_, arrival_);
  client_.watch().arm(core_->settings.header_timeout);
  HeadScanner scanner;
  auto head = take_head(request, scanner);
  if (!head) head = co_await read_head(request, scanner);
  if (!*head) {
    if (head->error().status == kNothing.status) co_return false;
    co_return co_await refuse(head->error());
  }
  if (++served_ > 1) client_.expect_more();
  if (const auto checked = check(request); !checked) co_return co_await refuse(checked.error());
  BodyReader body(client_, request.framing);
  if (request.expects && !request.upgrade.empty() && !co_await invite_body(request)) co_return false;
  if (!request.framing.empty() && !request.expects && !co_await read_ahead(request, body)) co_return false;

  // An offer may be ignored, and one that comes with more than we keep is: what follows it would have to wait for it.
  // HTTP/2 knows no such offers.
  if (!request.whole || core_->options.upstream_h2.speak == h2client::Speak::h2) request.upgrade.clear();

  request.received_at = Watch::Steady::now();
  if (const auto here = words_for_last_hop(request.head))
    co_return co_await answer(&request, here->status, here->text, !request.whole);
  identify(request.identity, request.head, request.connection, core_->identity, core_->random);
  request.segment = core_->matcher.match(request.head, request.connection);
  account_.matched = true;
  begin_time(*core_, request);
  request.client = arrival_.affinity.key(core_->rules[request.segment].sticky, request.head);
  const auto work = work_of(*core_, request);
  if (auto pass = gate_.try_enter(request.segment, request.client.sticky, work))
    co_return co_await exchange(request, body, std::move(*pass));
  // Parked, or in a queue: the gate has its own caps.
  client_.watch().disarm();
  auto pass = co_await enter_in_time(gate_, request, work, false);
  co_return co_await go_in(request, body, std::move(pass));
}

awaitable<bool> Session::go_in(Request& request, BodyReader& body, Result<proxy::Pass> pass) {
  account_.waited = Watch::Steady::now() - request.received_at;
  if (pass) co_return co_await exchange(request, body, std::move(*pass));
  gate_.refused(request.segment);
  account_.refused = true;
  co_return co_await answer(&request, 503, pass.error().what, !request.whole, true);
}

awaitable<bool> Session::await_request() {
  if (core_->watchdog->stopping()) co_return false;
  const auto idle_max = core_->settings.idle_timeout;
  bool rests = may_rest() && idle_max > kRestAfter;
  auto wait = rests ? kRestAfter : idle_max;
  for (;;) {
    client_.watch().arm(wait);
    client_.watch().set_idle(true);
    error_code error;
    if (!client_.fill_now(error)) error = co_await client_.readable();
    client_.watch().set_idle(false);
    if (!client_.timed_out()) co_return !error;
    if (!rests || core_->watchdog->stopping()) co_return false;
    wait = idle_max - kRestAfter;
    client_.expect_no_more();
    if (core_->rest->take(client_.socket(), mark_, Watch::Steady::now() + wait)) co_return false;
    rests = false;
  }
}

bool Session::may_rest() const {
  return core_->rest && !core_->has_arrivals() && !arrival_.affinity.remembers() && !core_->options.clients.counts();
}

std::optional<Parsed<void>> Session::take_head(Request& request, HeadScanner& scanner) {
  switch (scanner.scan(client_.unread(), core_->limits)) {
    case HeadScanner::Found::complete: {
      request.bytes.assign(client_.unread().substr(scanner.begin(), scanner.end() - scanner.begin()));
      client_.consume(scanner.end());
      auto head = parse_request_head(request.bytes, core_->limits);
      if (!head) return tl::make_unexpected(head.error());
      request.head = std::move(*head);
      return Parsed<void>{};
    }
    case HeadScanner::Found::refused:
      return tl::make_unexpected(scanner.refusal());
    case HeadScanner::Found::more:
      break;
  }
  return std::nullopt;
}

awaitable<Parsed<void>> Session::read_head(Request& request, HeadScanner& scanner) {
  for (;;) {
    if (co_await client_.fill()) {
      const bool late = client_.timed_out() && !client_.unread().empty();
      co_return tl::make_unexpected(late ? Refusal{408, "the request did not come within its time"} : kNothing);
    }
    if (auto head = take_head(request, scanner)) co_return *head;
  }
}

Parsed<void> Session::check(Request& request) {
  const auto& head = request.head;
  const auto refused = [](int status, const char* why) { return tl::make_unexpected(Refusal{status, why}); };
  if (head.method == "CONNECT") return refused(501, "CONNECT is not offered");
  request.connection = read_connection(head.fields);
  auto offer = offered_protocols(head, request.connection);
  if (!offer) return tl::make_unexpected(offer.error());
  request.upgrade = std::move(*offer);
  if (request.connection.expects_other) return refused(417, "only 100-continue can be expected");
  const auto framing = request_framing(head);
  if (!framing) return tl::make_unexpected(framing.error());
  request.framing = *framing;
  if (is_too_large(*core_, framing->length)) return refused(413, "the body is longer than is allowed here");
  // A client that has begun with its body waits for nothing.
  request.expects =
      request.connection.expects_continue && head.minor >= 1 && !framing->empty() && client_.unread().empty();
  request.whole = framing->empty();
  return {};
}

awaitable<bool> Session::read_ahead(Request& request, BodyReader& body) {
  client_.watch().arm(core_->settings.idle_timeout);
  while (request.body.size() < kReadAheadMax) {
    switch (co_await body.next()) {
      case BodyReader::State::data:
        request.body.append(body.data());
        if (is_too_large(*core_, request.body.size()))
          co_return co_await refuse({413, "the body is longer than is allowed here"});
        break;
      case BodyReader::State::done:
        request.whole = true;
        request.trailers = body.trailers();
        co_return true;
      case BodyReader::State::refused:
        co_return co_await refuse(body.refusal());
      case BodyReader::State::broken:
        if (client_.timed_out()) co_return co_await refuse({408, "the body did not come within its time"});
        co_return false;
    }
  }
  co_return true;
}

awaitable<bool> Session::answer(const Request* request, int status, std::string_view text, bool close,
                                bool retry_soon) {
  close = close || is_last() || (request && !persistent(request->connection, request->head.minor));
  out_.clear();
  const auto date = date_now();
  const bool bodyless = request && request->head.method == "HEAD";
  account_.answer_ourselves(status, bodyless ? 0 : text.size() + 1);
  append_own_answer(
      out_, {.status = status, .text = text, .date = date, .close = close, .head = bodyless, .retry_soon = retry_soon});
  client_.watch().arm(core_->settings.idle_timeout);
  const auto written = co_await client_.write(out_);
  if (written.error) co_return false;
  if (close) co_await linger(client_);
  co_return !close;
}

bool Session::is_last() const {
  const auto most = core_->options.clients.requests_max;
  return core_->watchdog->ending() || (most != 0 && served_ >= most);
}

awaitable<bool> Session::refuse(const Refusal& refusal) {
  co_return co_await answer(nullptr, refusal.status, refusal.why, true);
}

}  // namespace foreshadow::kinds::http
