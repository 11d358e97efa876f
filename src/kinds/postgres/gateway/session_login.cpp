#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/log.hpp"
#include "kinds/postgres/gateway/binding.hpp"
#include "kinds/postgres/gateway/session.hpp"

namespace foreshadow::kinds::pg_gateway {

namespace asio = boost::asio;
constexpr auto use = asio::as_tuple(asio::use_awaitable);

namespace {

// A client that stalls in its login must not keep a handover from draining.
constexpr Millis login_pass_max{200};
// How long a server that is away (a crash, a switch) is tried again for a client that has not seen any of it.
constexpr Millis login_retry_max{5000};
constexpr Millis login_retry_every{100};

}  // namespace

asio::awaitable<bool> Session::start_up() {
  // Covers also a client that sends one byte an hour.
  Deadline deadline(hub_->executor, hub_->settings.header_timeout, [&] { give_up(); });
  auto startup = co_await read_startup();
  if (!startup) co_return false;
  if (startup->kind == Startup::Kind::cancel) {
    co_await hub_->cancel(*std::move(startup));
    co_return false;
  }
  startup_ = *std::move(startup);
  replication_ = startup_.replication();
  segment_ = hub_->segment_of(startup_);
  const auto& segments = hub_->settings.segments;
  reads_only_ =
      segment_ < segments.size() && !segments[segment_].writes && segments[segment_].staleness_max.count() > 0;
  key_ = hub_->add(*this);
  if (replication_) mark_ = gate_.unmovable("replication connection");
  if (!co_await log_in() || closing_) co_return false;
  if (replication_) co_return true;
  start_pump(active_);
  ready_ = true;
  if (hub_->stopping()) stop();
  consider_warm_up();
  co_return !closing_;
}

asio::awaitable<std::optional<Startup>> Session::read_startup() {
  Opening opening(hub_->tls.clients);
  if (hub_->tls.clients != ClientTls::off) {
    const auto first = co_await client_.peek();
    if (!first || (opening.begins_tls(*first) && !co_await shake_hands(opening))) co_return std::nullopt;
  }
  for (;;) {
    auto next = opening.next(client_.unread());
    client_.consume(next.used);
    const auto& refusal = next.refusal;
    switch (next.step) {
      case Opening::Step::wait:
        if (co_await client_.fill()) co_return std::nullopt;
        break;
      case Opening::Step::say_no:
        if (!co_await to_client(std::string("N"))) co_return std::nullopt;
        break;
      case Opening::Step::say_yes:
        if (!co_await to_client(std::string("S")) || !co_await shake_hands(opening)) co_return std::nullopt;
        break;
      case Opening::Step::session:
      case Opening::Step::cancel:
        co_return std::move(next.startup);
      case Opening::Step::refuse:
        co_await farewell(error_response("FATAL", refusal.sqlstate, refusal.text, refusal.hint));
        co_return std::nullopt;
      case Opening::Step::hang_up:
        co_await farewell({});
        co_return std::nullopt;
    }
  }
}

asio::awaitable<bool> Session::shake_hands(Opening& opening) {
  const auto server = hub_->tls.files->server();
  const auto done = co_await client_.secure(server->accept());
  if (!done.error && opening.secured(client_.alpn(), client_.peer_common_name())) co_return true;
  log::debug("{}: a client's TLS: {}", hub_->settings.resource,
             done.error ? done.why : "it began without a request, and did not name PostgreSQL's protocol");
  // What TLS has told the client must not be taken along by a reset.
  co_await farewell({});
  co_return false;
}

// A login needs leave like any work, so that none runs into a server that is being fenced.
asio::awaitable<bool> Session::log_in() {
  const auto began = Clock::now();
  for (;;) {
    std::string failure;
    bool passing = true;
    {
      auto entered = co_await enter();
      if (!entered) {
        co_await farewell(error_response("FATAL", "57P03", entered.error().what));
        co_return false;
      }
      std::optional<proxy::Pass> pass(std::move(*entered));
      Deadline grace(hub_->executor, login_pass_max, [&] {
        pass->finish(true, std::chrono::duration_cast<proxy::Micros>(login_pass_max));
        pass.reset();
      });
      // Whatever the segment's weights say: the first server is the one that can do everything.
      const Instance target = gate_.table().current;
      auto conn = co_await hub_->dialer->dial(target, login_retry_max);
      LoginStep step = LoginStep::retry;
      if (conn) {
        active_ = std::make_shared<Backend>(*std::move(conn), target, gate_.table().epoch);
        backends_.assign(1, active_);
        step = co_await relay_login(*active_);
        // With TLS 1.3 a server that does not like our certificate says so once we think that all is well.
        if (step == LoginStep::retry) failure = active_->conn->why();
      } else {
        failure = conn.error().what;
        passing = conn.error().code == Code::unreachable || conn.error().code == Code::timeout;
      }
      if (pass) pass->finish(step != LoginStep::retry, std::chrono::duration_cast<proxy::Micros>(Clock::now() - began));
      if (closing_) co_return false;
      if (step == LoginStep::done) co_return true;
      if (step == LoginStep::failed) co_return false;
      if (active_) forget(*BackendPtr(active_));
    }
    if (!passing || Clock::now() - began >= login_retry_max) {
      if (failure.empty()) failure = "the server ended the connection";
      co_await farewell(error_response("FATAL", "08006", "no server to log in to: " + failure));
      co_return false;
    }
    asio::steady_timer pause(hub_->executor, login_retry_every);
    const auto [error] = co_await pause.async_wait(use);
    if (error || closing_) co_return false;
  }
}

// Message by message between client and server. What the server says is kept back as long as the client need not
// answer, so that a server that goes away meanwhile can be replaced unseen.
asio::awaitable<Session::LoginStep> Session::relay_login(Backend& b) {
  bool asked = false;
  std::string said;
  const std::string hello = startup_packet(startup_);
  if (!co_await send(*b.conn, hello)) co_return LoginStep::retry;
  // Closing the session (deadline, cancellation) must end the wait for a server that does not answer.
  for (;;) {
    const auto piece = co_await read_message(b);
    if (closing_) co_return LoginStep::failed;
    if (!piece) {
      if (!asked) co_return LoginStep::retry;
      co_await farewell(error_response("FATAL", "08006", "the server ended the connection during login"));
      co_return LoginStep::failed;
    }
    const std::string_view raw = b.conn->unread().substr(0, piece->size);
    bool client_answers = false;
    bool begins_sasl = false;
    bool done = false;
    bool refused = false;
    if (!piece->head) {
      said += raw;
    } else if (piece->type == 'K') {
      b.note(*piece);
      hub_->adopt(key_, b.key.pid);
      said += backend_key_data(key_);
    } else if (piece->type == 'E') {
      const auto error = decode_error(piece->body);
      // Starting up, shutting down or not yet in a consistent state: true of this moment, not of this client.
      if (!asked && (error.sqlstate == "57P03" || error.sqlstate == "57P01")) co_return LoginStep::retry;
      said += raw;
      refused = true;
    } else {
      if (piece->type == 'R') {
        const auto auth = decode_auth(piece->body);
        client_answers = auth && auth->kind != Auth::ok && auth->kind != Auth::sasl_final;
        begins_sasl = auth && auth->kind == Auth::sasl;
        if (begins_sasl) said += authentication_sasl(unbound_mechanisms(auth->data));
      }
      if (piece->type == 'S') {
        b.note(*piece);
        tracker_.backend(*piece);
        if (const auto status = decode_parameter_status(piece->body)) told_[std::string(status->name)] = status->value;
      }
      done = piece->type == 'Z';
      if (!begins_sasl) said += raw;
    }
    b.conn->consume(piece->size);
    if (refused) {
      // The rest of an error too large to come in one piece.
      while (!b.framer.between_messages()) {
        const auto rest = co_await read_message(b);
        if (!rest) break;
        said += b.conn->unread().substr(0, rest->size);
        b.conn->consume(rest->size);
      }
      co_await farewell(std::move(said));
      co_return LoginStep::failed;
    }
    if (client_answers || done) {
      if (!co_await to_client(std::exchange(said, {}))) co_return LoginStep::failed;
    }
    if (done) co_return LoginStep::done;
    if (client_answers) {
      asked = true;
      if (!co_await relay_secret(b, begins_sasl)) co_return LoginStep::failed;
    }
  }
}

// One answer of the client's to the server's request, unseen and unkept.
asio::awaitable<bool> Session::relay_secret(Backend& b, bool begins_sasl) {
  for (;;) {
    const auto piece = framer_.next(client_.unread());
    if (!piece || (*piece && (*piece)->head && (*piece)->type != 'p')) {
      if (piece && (*piece)->type == 'X') co_return false;
      co_await farewell(error_response("FATAL", "08P01", piece ? "expected a password message" : piece.error().what));
      co_return false;
    }
    if (*piece && begins_sasl && b.conn->is_secure() && misses_binding((*piece)->body)) {
      co_await farewell(error_response(
          "FATAL", "28000", "SCRAM cannot be relayed between two TLS connections for a client that can bind it to one",
          "Connect with channel_binding=disable, or have TLS on one side of the gateway only."));
      co_return false;
    }
    if (*piece) {
      const bool sent = co_await send(*b.conn, client_.unread().substr(0, (*piece)->size));
      client_.consume((*piece)->size);
      // A server that has gone away shows when its answer is read.
      static_cast<void>(sent);
      co_return true;
    }
    if (co_await client_.fill()) co_return false;
  }
}

// A replication connection belongs to one server for life: bytes, both ways, until one side ends.
asio::awaitable<void> Session::tunnel() {
  const auto b = active_;
  spawn(tunnel_back(b));
  while (!closing_) {
    const auto bytes = client_.unread();
    if (!bytes.empty() && !co_await send(*b->conn, bytes)) break;
    client_.consume(bytes.size());
    if (co_await client_.fill()) break;
  }
  b->conn->close();
}

asio::awaitable<void> Session::tunnel_back(BackendPtr b) {
  for (;;) {
    const auto bytes = b->conn->unread();
    if (!bytes.empty() && !co_await to_client({asio::buffer(bytes)})) break;
    b->conn->consume(bytes.size());
    if (co_await b->conn->fill()) break;
  }
  give_up();
}

}  // namespace foreshadow::kinds::pg_gateway
