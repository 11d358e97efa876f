#include "kinds/postgres/gateway/session.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/log.hpp"

namespace foreshadow::kinds::pg_gateway {

namespace asio = boost::asio;

namespace {

// A client that pipelines without end would never reach a boundary. Under one leave it may go on for this long; then
// each request waits for the answer to the one before, and the gate gets its turn in between.
constexpr std::chrono::milliseconds pipeline_max{20};
// Far more than the answers that fit into the buffers of a server that is not being read (8 KiB unsent at 5 bytes
// each).
constexpr std::size_t queued_max = 4096;
constexpr Millis goodbye_max{1000};
constexpr Millis orphan_max{2000};

bool ends_request(char type) { return type == 'Q' || type == 'S' || type == 'F'; }

}  // namespace

Session::Session(std::shared_ptr<Hub> hub, asio::ip::tcp::socket client, proxy::Gate& gate)
    : hub_(std::move(hub)),
      client_(std::move(client), hub_->watchdog),
      gate_(gate),
      bell_(hub_->executor),
      write_bell_(hub_->executor) {}

asio::awaitable<void> Session::run() {
  // A cancelled session must still unwind its pumps in order, so cancellation shows as failed operations, not
  // exceptions.
  co_await asio::this_coro::throw_if_cancelled(false);
  session_mark_ = gate_.session();
  gate_.settle_by(hub_);
  try {
    if (co_await start_up()) {
      if (replication_) {
        co_await tunnel();
      } else {
        co_await serve_client();
      }
    }
  } catch (const std::exception& e) {
    log::error("postgres session: {}", e.what());
  }
  co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
  if (!closing_ && !hub_->stopping()) co_await see_off();
  const bool goodbye = closing_ && client_.is_open();
  closing_ = true;
  ready_ = false;
  hub_->remove(*this, key_);
  pass_.reset();
  mark_.reset();
  for (const auto& backend : backends_) {
    // An abandoned transaction is rolled back either way.
    if (!backend->dead && tracker_.idle()) backend->leave();
    backend->conn->close();
  }
  bell_.ring();
  write_bell_.ring();
  if (goodbye) co_await linger();
  client_.close();
  while (children_ > 0) co_await bell_.wait();
  backends_.clear();
  active_.reset();
  session_mark_.reset();
}

// The client is gone, its last statement may still run: the server would finish it, so it stays in flight until it has.
// One that takes long is cancelled, as nobody waits for it.
asio::awaitable<void> Session::see_off() {
  client_gone_ = true;
  for (int round = 0; round < 2; ++round) {
    const auto b = active_;
    if (!b || b->dead || !unit_open_ || !unit_sent_ || tracker_.drained() || tracker_.in_copy()) co_return;
    if (round == 1) co_await hub_->cancel_at(b->instance, b->key);
    Deadline patience(hub_->executor, orphan_max, [&] { bell_.ring(); });
    while (unit_open_ && !b->dead && !tracker_.drained() && !patience.passed()) co_await bell_.wait();
  }
}

// Reads on until the client has closed too: closing with unread bytes would reset the connection and take our last
// words with it.
asio::awaitable<void> Session::linger() {
  error_code ignored;
  client_.socket().shutdown(asio::socket_base::shutdown_send, ignored);
  client_.watch().arm(goodbye_max);
  do client_.consume(client_.unread().size());
  while (!co_await client_.fill());
}

void Session::spawn(asio::awaitable<void> child) {
  ++children_;
  asio::co_spawn(hub_->executor, std::move(child), [self = shared_from_this()](const std::exception_ptr& error) {
    --self->children_;
    if (error) self->give_up();
    self->bell_.ring();
  });
}

void Session::give_up() {
  if (closing_) return;
  closing_ = true;
  client_.close();
  for (const auto& backend : backends_) backend->conn->close();
  bell_.ring();
  write_bell_.ring();
}

void Session::stop() {
  if (!ready_ || unit_open_ || parked_ || closing_) return;  // busy ones end after their unit, parked ones by the gate
  spawn(farewell(error_response("FATAL", "57P01", "terminating connection: the gateway is stopping")));
}

std::optional<Session::CancelTarget> Session::cancel() {
  if (parked_) {
    cancel_parked_ = true;
    bell_.ring();
    return std::nullopt;
  }
  if (!unit_open_ || !active_ || active_->dead) return std::nullopt;
  return CancelTarget{active_->instance, active_->key};
}

asio::awaitable<void> Session::serve_client() {
  client_.expect_more();
  while (!closing_) {
    if (!co_await handle_input()) co_return;
    error_code error;
    if (!client_.fill_now(error)) error = co_await client_.fill();
    if (error) co_return;
  }
}

// Data and end of a COPY, and Flush: parts of a request, never one of their own.
bool continues_request(char type) { return type == 'd' || type == 'c' || type == 'f' || type == 'H'; }

bool Session::may_pipeline() const { return Clock::now() - unit_began_ < pipeline_max; }

// A message of this type must not go out yet: the last answer is still on its way to the client, or the unit has
// pipelined enough. What belongs to a COPY to the server never waits: the answer it would wait for comes only behind
// it.
bool Session::must_wait(char type) const {
  if (!unit_open_ || closing_ || tracker_.copying_in() || continues_request(type)) return false;
  return tracker_.idle() || tracker_.queued() >= queued_max ||
         (closed_request_ && !tracker_.drained() && !may_pipeline());
}

// Everything whole that the client has sent. Bytes that go to the server unchanged are collected and sent in one write.
asio::awaitable<bool> Session::handle_input() {
  std::size_t at = 0;
  std::size_t from = 0;
  bool end = false;
  while (!end) {
    const auto bytes = client_.unread();
    const auto next = framer_.next(bytes.substr(at));
    if (!next) {
      co_await farewell(error_response("FATAL", "08P01", next.error().what));
      co_return false;
    }
    if (!*next) break;
    const Piece& piece = **next;
    bool forward = forward_rest_;
    if (piece.head) {
      if (must_wait(piece.type) || !unit_open_) {
        if (!co_await send_to_server(bytes.substr(from, at - from))) co_return false;
        from = at;
        while (must_wait(piece.type)) co_await bell_.wait();
        if (closing_) co_return false;
      }
      const auto admitted = co_await admit(piece);
      end = admitted == Admitted::end;
      forward = admitted == Admitted::forward;
      forward_rest_ = forward;
    }
    if (forward && capture_.on) capture_.add(piece, bytes.substr(at, piece.size), tracker_.last_inspection());
    if (!forward) {
      if (!co_await send_to_server(bytes.substr(from, at - from))) co_return false;
      from = at + piece.size;
    }
    at += piece.size;
  }
  const bool sent = co_await send_to_server(client_.unread().substr(from, at - from));
  client_.consume(at);
  co_return sent && !end;
}

asio::awaitable<Session::Admitted> Session::admit(const Piece& piece) {
  if (piece.type == 'X') co_return Admitted::end;  // what came before it is still carried out, see see_off()
  if (skipping_) {
    if (piece.type == 'S') {
      skipping_ = false;
      co_await to_client(ready_for_query('I'));
    }
    co_return Admitted::drop;
  }
  if (!unit_open_) {
    // What remains of a COPY that failed before the client knew; the server would drop it too.
    if (continues_request(piece.type)) co_return Admitted::drop;
    if (piece.type == 'p') {
      co_await farewell(error_response("FATAL", "08P01", "unexpected password message"));
      co_return Admitted::end;
    }
    if (!co_await begin_unit(piece)) co_return closing_ ? Admitted::end : Admitted::drop;
  }
  const auto verdict = tracker_.frontend(piece);
  if (!verdict) {
    co_await farewell(error_response("FATAL", "08P01", verdict.error().what));
    co_return Admitted::end;
  }
  if (*verdict == Tracker::Verdict::swallow) co_return Admitted::drop;
  // Unchanged by a Flush behind a Sync: a client that sends both without pause must still come to a boundary.
  if (!continues_request(piece.type)) closed_request_ = ends_request(piece.type);
  if (!owed_since_) owed_since_ = served_.count() == 0 ? unit_began_ : Clock::now();
  co_return Admitted::forward;
}

asio::awaitable<bool> Session::send_to_server(std::string_view bytes) {
  if (bytes.empty()) co_return !closing_;
  while (!closing_) {
    if (!active_ || active_->dead) {
      if (!unit_open_) co_return true;  // scraps of a unit that is over
      if (unit_sent_ || !pass_) {
        co_await report_loss();
        co_return false;
      }
      // The server died before it got a byte of this unit: another can take it whole.
      const Instance target = pass_->target();
      if (const auto done = co_await attach(target, pass_->epoch()); !done) {
        co_await farewell_lost(done.error().what);
        co_return false;
      }
    }
    const auto b = active_;
    sending_ = true;
    proxy::Conn::Parts parts{asio::buffer(bytes)};
    proxy::Conn::Written written;
    if (!b->conn->write_now(parts, written)) written = co_await b->conn->write_on(parts, written);
    sending_ = false;
    unit_sent_ = unit_sent_ || written.bytes > 0;
    if (!unit_open_) co_return !closing_;  // answered already, or ended with it
    if (!written.error && !b->dead) co_return !closing_;
    if (written.error && !unit_sent_) {
      forget(*b);
      continue;
    }
    // The server's own last words may still wait to be read; the pump knows when there are no more.
    Deadline patience(hub_->executor, goodbye_max, [&] { b->conn->close(); });
    while (!b->dead && !closing_) co_await bell_.wait();
    if (unit_open_) co_await report_loss();
    co_return false;
  }
  co_return false;
}

// The unit was not let in: says so, and that nothing was done. The session goes on.
asio::awaitable<void> Session::refuse(const Piece& first, const Error& error) {
  if (error.code == Code::cancelled && !cancel_parked_) {
    co_await farewell(error_response("FATAL", "57P01", "terminating connection: " + error.what));
    co_return;
  }
  const std::string_view state = error.code == Code::cancelled ? "57014"
                                 : error.code == Code::refused ? "53400"
                                                               : "57P03";
  std::string out =
      error_response("ERROR", state, error.what, "Nothing was sent to the server; it is safe to try again.");
  cancel_parked_ = false;
  if (ends_request(first.type)) {
    out += ready_for_query('I');
  } else {
    skipping_ = true;
  }
  co_await to_client(std::move(out));
}

asio::awaitable<void> Session::park(std::optional<Result<proxy::Pass>>& out) {
  out.emplace(co_await gate_.enter(segment_, 0));
}

asio::awaitable<void> Session::wait_for_cancel() {
  while (!cancel_parked_ && !closing_)
    if (!co_await bell_.wait()) co_return;
}

asio::awaitable<Result<proxy::Pass>> Session::enter() {
  if (auto pass = gate_.try_enter(segment_, 0)) co_return std::move(*pass);
  using namespace asio::experimental::awaitable_operators;
  std::optional<Result<proxy::Pass>> entered;
  parked_ = true;
  cancel_parked_ = false;
  co_await (park(entered) || wait_for_cancel());
  parked_ = false;
  if (cancel_parked_ && (!entered || *entered)) {
    // Leave that came at the same moment is given back unused: that is no error of the server's.
    if (entered) (*entered)->finish(true, proxy::Micros{0});
    co_return fail(Code::cancelled, "canceling statement due to user request");
  }
  if (!entered) co_return fail(Code::cancelled, "the gateway is stopping");
  co_return std::move(*entered);
}

void Session::Capture::add(const Piece& piece, std::string_view raw, const Inspection& inspected) {
  constexpr std::size_t bytes_max = 64 << 10;
  if (spoilt) return;
  if (!piece.head || !piece.whole || bytes.size() + raw.size() > bytes_max) {
    spoilt = true;
    return;
  }
  const bool named = [&] {
    if (piece.type == 'P') return !decode_parse(piece.body)->name.empty();
    if (piece.type == 'B') {
      const auto bind = decode_bind(piece.body);
      return !bind->portal.empty() || !bind->statement.empty();
    }
    if (piece.type == 'D') return !decode_target(piece.body)->name.empty();
    if (piece.type == 'E') return !decode_string(piece.body).value_or("?").empty();
    return false;
  }();
  if (named || ((piece.type == 'Q' || piece.type == 'P') && !inspected.plain_select)) {
    spoilt = true;
    return;
  }
  shape += piece.type;
  bytes += raw;
}

bool Session::Capture::complete() const {
  return on && !spoilt && (shape == "Q" || shape == "PBES" || shape == "PBDES" || shape == "PDBES");
}

bool Session::settings_allow_mirror() const {
  // These change how an answer looks, not how many rows it has; anything else (search_path, role) may.
  for (const auto& setting : tracker_.script().items()) {
    if (setting.kind != Script::Item::Kind::setting) continue;
    bool harmless = false;
    for (const std::string_view name : {"application_name", "client_encoding", "datestyle", "intervalstyle", "timezone",
                                        "extra_float_digits", "bytea_output", "statement_timeout", "lock_timeout",
                                        "client_min_messages", "idle_in_transaction_session_timeout"})
      harmless = harmless || setting.name == name;
    if (!harmless) return false;
  }
  return true;
}

}  // namespace foreshadow::kinds::pg_gateway
