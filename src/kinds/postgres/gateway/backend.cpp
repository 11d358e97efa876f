#include "kinds/postgres/gateway/backend.hpp"

#include <sys/socket.h>

#include <boost/asio/buffer.hpp>
#include <cerrno>
#include <optional>

#include "kinds/postgres/gateway/link.hpp"
#include "kinds/postgres/gateway/scram.hpp"

namespace foreshadow::kinds::pg_gateway {

namespace asio = boost::asio;

Backend::Peek Backend::peek() {
  char byte = 0;
  const auto n = ::recv(conn->socket().native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  if (n > 0) return Peek::data;
  return n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) ? Peek::quiet : Peek::closed;
}

void Backend::leave() {
  const std::string bytes = terminate();
  proxy::Conn::Parts parts{asio::buffer(bytes)};
  proxy::Conn::Written written;
  conn->write_now(parts, written);
  conn->close();
}

void Backend::note(const Piece& piece) {
  if (piece.type == 'S') {
    if (const auto status = decode_parameter_status(piece.body)) parameters[std::string(status->name)] = status->value;
  } else if (piece.type == 'K') {
    if (auto k = decode_backend_key(piece.body)) key = *std::move(k);
  }
}

bool Backend::in_recovery() const {
  const auto found = parameters.find("in_hot_standby");
  return found != parameters.end() && found->second == "on";
}

asio::awaitable<bool> send(proxy::Conn& conn, std::string_view bytes) {
  const auto written = co_await conn.write(bytes);
  co_return !written.error;
}

asio::awaitable<Result<Piece>> read_message(Backend& b) {
  for (;;) {
    auto piece = b.framer.next(b.conn->unread());
    if (!piece) co_return tl::make_unexpected(piece.error());
    if (*piece) co_return **piece;
    const auto error = co_await b.conn->fill();
    if (!error) continue;
    const auto why = b.conn->why().empty() ? error.message() : "TLS: " + std::string(b.conn->why());
    co_return fail(Code::unreachable, b.instance.endpoint.text() + ": connection lost: " + why);
  }
}

namespace {

// Answers the server's requests for proof, until it is satisfied.
class Login {
 public:
  Login(Backend& backend, const Startup& startup, const Credentials& credentials)
      : backend_(backend), startup_(startup), credentials_(credentials) {}

  // Bytes to answer with; empty: nothing to say to this one.
  Result<std::string> answer(std::string_view body) {
    const auto auth = decode_auth(body);
    if (!auth) return fail(Code::invalid, "malformed authentication request");
    switch (auth->kind) {
      case Auth::ok:
        return std::string();
      case Auth::cleartext: {
        FS_TRY(secret, password());
        return message('p', secret + '\0');
      }
      case Auth::md5: {
        if (auth->data.size() != 4) return fail(Code::invalid, "malformed md5 request");
        FS_TRY(secret, password());
        return message('p', md5_answer(startup_.user(), secret, auth->data) + '\0');
      }
      case Auth::sasl: {
        if (!offers(auth->data, "SCRAM-SHA-256"))
          return fail(Code::refused, "server offers no SASL mechanism that we speak");
        FS_TRY(secret, password());
        scram_.emplace(std::move(secret), base64(random_bytes(18)));
        const std::string first = scram_->first();
        std::string body_out = "SCRAM-SHA-256";
        body_out += '\0';
        append_u32(body_out, static_cast<std::uint32_t>(first.size()));
        return message('p', body_out + first);
      }
      case Auth::sasl_continue: {
        if (!scram_) return fail(Code::invalid, "SASL out of order");
        FS_TRY(text, scram_->final(auth->data));
        return message('p', text);
      }
      case Auth::sasl_final:
        if (!scram_) return fail(Code::invalid, "SASL out of order");
        FS_CHECK(scram_->verify(auth->data));
        return std::string();
      default:
        return fail(Code::refused, "server asks for an authentication that the gateway does not speak (code " +
                                       std::to_string(static_cast<std::uint32_t>(auth->kind)) + ")");
    }
  }

 private:
  static bool offers(std::string_view list, std::string_view mechanism) {
    while (const auto name = take_string(list)) {
      if (name->empty()) return false;
      if (*name == mechanism) return true;
    }
    return false;
  }
  Result<std::string> password() const {
    return credentials_.password(backend_.instance.endpoint, startup_.database(), startup_.user());
  }

  Backend& backend_;
  const Startup& startup_;
  const Credentials& credentials_;
  std::optional<ScramClient> scram_;
};

asio::awaitable<Result<void>> log_in(Backend& b, const Startup& startup, const Credentials& credentials) {
  Login login(b, startup, credentials);
  const std::string hello = startup_packet(startup);
  if (!co_await send(*b.conn, hello))
    co_return fail(Code::unreachable, b.instance.endpoint.text() + ": connection lost");
  for (;;) {
    FS_CO_TRY(piece, co_await read_message(b));
    if (piece.head && piece.type == 'R') {
      FS_CO_TRY(reply, login.answer(piece.body));
      if (!reply.empty() && !co_await send(*b.conn, reply))
        co_return fail(Code::unreachable, b.instance.endpoint.text() + ": connection lost");
    } else if (piece.head && piece.type == 'E') {
      const auto error = decode_error(piece.body);
      co_return fail(Code::refused, b.instance.endpoint.text() + ": " + error.message);
    } else if (piece.head) {
      b.note(piece);
    }
    const bool ready = piece.head && piece.type == 'Z';
    b.conn->consume(piece.size);
    if (ready) co_return Result<void>();
  }
}

}  // namespace

asio::awaitable<Result<std::shared_ptr<Backend>>> open_backend(std::shared_ptr<Dialer> dialer, Instance at,
                                                               std::uint64_t epoch, Startup startup,
                                                               const Credentials& credentials, Millis within) {
  FS_CO_TRY(conn, co_await dialer->dial(at, within));
  const auto b = std::make_shared<Backend>(std::move(conn), std::move(at), epoch);
  Deadline deadline(dialer->executor, within, [&] { b->conn->close(); });
  const auto done = co_await log_in(*b, startup, credentials);
  if (deadline.passed()) co_return fail(Code::timeout, b->instance.endpoint.text() + ": login took too long");
  if (!done) co_return tl::make_unexpected(done.error());
  co_return b;
}

}  // namespace foreshadow::kinds::pg_gateway
