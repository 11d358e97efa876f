#include "kinds/http/session/session.hpp"

#include <boost/asio/error.hpp>
#include <boost/asio/socket_base.hpp>

#include "kinds/http/session/date.hpp"
#include "proxy/sticky.hpp"

namespace foreshadow::kinds::http {

namespace asio = boost::asio;

namespace {
// A body up to this size is read whole before the gate is asked, so that a slow client's upload neither holds up a
// drain nor an instance.
constexpr std::size_t kReadAheadMax = 64 << 10;
constexpr Millis kLinger{1000};
constexpr std::size_t kLingerBytesMax = 256 << 10;

std::uint64_t hash_of(const asio::ip::tcp::endpoint& client) {
  std::uint64_t hash = client.port();
  if (client.address().is_v4()) {
    hash ^= std::uint64_t{client.address().to_v4().to_uint()} << 16;
  } else {
    for (const auto byte : client.address().to_v6().to_bytes()) hash = proxy::mix(hash ^ byte);
  }
  // 0 would mean: draw afresh each time.
  return proxy::mix(hash) | 1;
}
}  // namespace

Session::Session(std::shared_ptr<Core> core, asio::ip::tcp::socket client, proxy::Gate& gate)
    : core_(std::move(core)), client_(std::move(client), core_->watchdog), gate_(gate) {
  error_code gone;
  const auto remote = client_.socket().remote_endpoint(gone);
  if (gone) return;
  client_address_ = remote.address().to_string();
  if (core_->options.sticky == Sticky::connection) sticky_ = hash_of(remote);
}

awaitable<void> Session::run() {
  const auto mark = gate_.session();
  while (co_await serve_one()) {
  }
}

awaitable<bool> Session::serve_one() {
  if (client_.unread().empty() && !co_await await_request()) co_return false;
  Request request;
  if (!co_await read_head(request)) co_return false;
  if (!co_await check(request)) co_return false;
  BodyReader body(client_, request.framing);
  if (!request.framing.empty() && !request.expects && !co_await read_ahead(request, body)) co_return false;

  request.received_at = Watch::Steady::now();
  request.segment = core_->matcher.match(request.head.method, request.head.target);
  if (auto pass = gate_.try_enter(request.segment, sticky_))
    co_return co_await exchange(request, body, std::move(*pass));
  // Parked: the gate has its own cap.
  client_.watch().disarm();
  auto pass = co_await gate_.enter(request.segment, sticky_);
  if (pass) co_return co_await exchange(request, body, std::move(*pass));
  co_return co_await answer(&request, 503, pass.error().what, !request.whole, true);
}

awaitable<bool> Session::await_request() {
  if (core_->watchdog->stopping()) co_return false;
  client_.watch().arm(core_->settings.idle_timeout);
  client_.watch().set_idle(true);
  const auto error = co_await client_.readable();
  client_.watch().set_idle(false);
  co_return !error && !client_.timed_out();
}

awaitable<bool> Session::read_head(Request& request) {
  client_.watch().arm(core_->settings.header_timeout);
  HeadScanner scanner;
  for (;;) {
    switch (scanner.scan(client_.unread(), core_->limits)) {
      case HeadScanner::Found::complete: {
        request.bytes.assign(client_.unread().substr(scanner.begin(), scanner.end() - scanner.begin()));
        client_.consume(scanner.end());
        auto head = parse_request_head(request.bytes, core_->limits);
        if (!head) co_return co_await refuse(head.error());
        request.head = std::move(*head);
        co_return true;
      }
      case HeadScanner::Found::refused:
        co_return co_await refuse(scanner.refusal());
      case HeadScanner::Found::more:
        break;
    }
    if (co_await client_.fill()) {
      if (client_.timed_out() && !client_.unread().empty())
        co_return co_await refuse({408, "the request did not come within its time"});
      co_return false;
    }
  }
}

awaitable<bool> Session::check(Request& request) {
  const auto& head = request.head;
  if (head.method == "CONNECT") co_return co_await refuse({501, "CONNECT is not offered"});
  request.connection = read_connection(head.fields);
  if (request.connection.upgrade) co_return co_await refuse({501, "Upgrade is not offered"});
  if (request.connection.expects_other) co_return co_await refuse({417, "only 100-continue can be expected"});
  const auto framing = request_framing(head);
  if (!framing) co_return co_await refuse(framing.error());
  request.framing = *framing;
  const auto max = core_->options.max_body;
  if (max != 0 && framing->length > max) co_return co_await refuse({413, "the body is longer than is allowed here"});
  // A client that has begun with its body waits for nothing.
  request.expects =
      request.connection.expects_continue && head.minor >= 1 && !framing->empty() && client_.unread().empty();
  request.whole = framing->empty();
  co_return true;
}

awaitable<bool> Session::read_ahead(Request& request, BodyReader& body) {
  client_.watch().arm(core_->settings.idle_timeout);
  const auto max = core_->options.max_body;
  while (request.body.size() < kReadAheadMax) {
    switch (co_await body.next()) {
      case BodyReader::State::data:
        request.body.append(body.data());
        if (max != 0 && request.body.size() > max)
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
  close = close || core_->watchdog->ending() || (request && !persistent(request->connection, request->head.minor));
  out_.clear();
  const auto date = date_now();
  append_own_answer(out_, {.status = status,
                           .text = text,
                           .date = date,
                           .close = close,
                           .head = request && request->head.method == "HEAD",
                           .retry_soon = retry_soon});
  client_.watch().arm(core_->settings.idle_timeout);
  const auto written = co_await client_.write(out_);
  if (written.error) co_return false;
  if (close) co_await linger();
  co_return !close;
}

awaitable<bool> Session::refuse(const Refusal& refusal) {
  co_return co_await answer(nullptr, refusal.status, refusal.why, true);
}

awaitable<void> Session::linger() {
  error_code ignored;
  client_.socket().shutdown(asio::socket_base::shutdown_send, ignored);
  client_.watch().arm(kLinger);
  for (std::size_t seen = client_.unread().size(); seen < kLingerBytesMax; seen += client_.unread().size()) {
    client_.consume(client_.unread().size());
    if (co_await client_.fill()) co_return;
  }
}

}  // namespace foreshadow::kinds::http
