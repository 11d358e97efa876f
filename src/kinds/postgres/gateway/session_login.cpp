#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include "kinds/postgres/gateway/session.hpp"

namespace foreshadow::kinds::pg_gateway {

namespace asio = boost::asio;
constexpr auto use = asio::as_tuple(asio::use_awaitable);

namespace {

// Encryption is refused once per kind; a client that goes on asking is not one.
constexpr int negotiations_max = 2;
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
  int negotiations = 0;
  for (;;) {
    const auto bytes = inbox_.view();
    const auto size = startup_size(bytes);
    if (!size) {
      co_await farewell(error_response("FATAL", "08P01", size.error().what));
      co_return std::nullopt;
    }
    if (!*size || bytes.size() < **size) {
      const auto [error, n] = co_await client_.async_read_some(inbox_.room(), use);
      if (error) co_return std::nullopt;
      inbox_.arrived(n);
      continue;
    }
    auto startup = parse_startup(bytes.substr(0, **size));
    const bool more = bytes.size() > **size;
    inbox_.consume(**size);
    if (!startup) {
      co_await farewell(error_response("FATAL", "08P01", startup.error().what));
      co_return std::nullopt;
    }
    if (startup->kind != Startup::Kind::ssl && startup->kind != Startup::Kind::gss) co_return *std::move(startup);
    // Bytes sent along with an encryption request could be somebody else's (CVE-2021-23222's sisters).
    if (more || ++negotiations > negotiations_max) {
      co_await farewell(error_response("FATAL", "08P01", "unexpected bytes or too many requests before startup"));
      co_return std::nullopt;
    }
    if (!co_await to_client(std::string("N"))) co_return std::nullopt;
  }
}

// A login needs leave like any work, so that none runs into a server that is being fenced.
asio::awaitable<bool> Session::log_in() {
  const auto began = Clock::now();
  for (;;) {
    std::string failure;
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
      auto socket = co_await connect(hub_->executor, target.endpoint, login_retry_max);
      LoginStep step = LoginStep::retry;
      if (socket) {
        active_ = std::make_shared<Backend>(*std::move(socket), target, gate_.table().epoch);
        backends_.assign(1, active_);
        step = co_await relay_login(*active_);
      } else {
        failure = socket.error().what;
      }
      if (pass) pass->finish(step != LoginStep::retry, std::chrono::duration_cast<proxy::Micros>(Clock::now() - began));
      if (closing_) co_return false;
      if (step == LoginStep::done) co_return true;
      if (step == LoginStep::failed) co_return false;
      if (active_) forget(*BackendPtr(active_));
    }
    if (Clock::now() - began >= login_retry_max) {
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
  if (!co_await send(b.socket, hello)) co_return LoginStep::retry;
  // Closing the session (deadline, cancellation) must end the wait for a server that does not answer.
  for (;;) {
    const auto piece = co_await read_message(b);
    if (closing_) co_return LoginStep::failed;
    if (!piece) {
      if (!asked) co_return LoginStep::retry;
      co_await farewell(error_response("FATAL", "08006", "the server ended the connection during login"));
      co_return LoginStep::failed;
    }
    const std::string_view raw = b.inbox.view().substr(0, piece->size);
    bool client_answers = false;
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
      }
      if (piece->type == 'S') {
        b.note(*piece);
        tracker_.backend(*piece);
        if (const auto status = decode_parameter_status(piece->body)) told_[std::string(status->name)] = status->value;
      }
      done = piece->type == 'Z';
      said += raw;
    }
    b.inbox.consume(piece->size);
    if (refused) {
      // The rest of an error too large to come in one piece.
      while (!b.framer.between_messages()) {
        const auto rest = co_await read_message(b);
        if (!rest) break;
        said += b.inbox.view().substr(0, rest->size);
        b.inbox.consume(rest->size);
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
      if (!co_await relay_secret(b)) co_return LoginStep::failed;
    }
  }
}

// One answer of the client's to the server's request, unseen and unkept.
asio::awaitable<bool> Session::relay_secret(Backend& b) {
  for (;;) {
    const auto piece = framer_.next(inbox_.view());
    if (!piece || (*piece && (*piece)->head && (*piece)->type != 'p')) {
      if (piece && (*piece)->type == 'X') co_return false;
      co_await farewell(error_response("FATAL", "08P01", piece ? "expected a password message" : piece.error().what));
      co_return false;
    }
    if (*piece) {
      const bool sent = co_await send(b.socket, inbox_.view().substr(0, (*piece)->size));
      inbox_.consume((*piece)->size);
      // A server that has gone away shows when its answer is read.
      static_cast<void>(sent);
      co_return true;
    }
    const auto [error, n] = co_await client_.async_read_some(inbox_.room(), use);
    if (error) co_return false;
    inbox_.arrived(n);
  }
}

// A replication connection belongs to one server for life: bytes, both ways, until one side ends.
asio::awaitable<void> Session::tunnel() {
  const auto b = active_;
  spawn(tunnel_back(b));
  while (!closing_) {
    const auto bytes = inbox_.view();
    if (!bytes.empty() && !co_await send(b->socket, bytes)) break;
    inbox_.consume(bytes.size());
    const auto [error, n] = co_await client_.async_read_some(inbox_.room(), use);
    if (error) break;
    inbox_.arrived(n);
  }
  close_quietly(b->socket);
}

asio::awaitable<void> Session::tunnel_back(BackendPtr b) {
  for (;;) {
    const auto bytes = b->inbox.view();
    if (!bytes.empty() && !co_await to_client({asio::buffer(bytes)})) break;
    b->inbox.consume(bytes.size());
    const auto [error, n] = co_await b->socket.async_read_some(b->inbox.room(), use);
    if (error) break;
    b->inbox.arrived(n);
  }
  give_up();
}

}  // namespace foreshadow::kinds::pg_gateway
