// One connection to one PostgreSQL server, made for one session (or for mirroring). Knows how to log in by itself,
// where no client can be asked, and what the server said of itself. Who reads from it after login is its owner's
// business.
//
// Opened on a standby it survives the standby's promotion; that is what makes a handover need no login.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "kinds/postgres/gateway/credentials.hpp"
#include "kinds/postgres/gateway/dial.hpp"
#include "kinds/postgres/gateway/exchange.hpp"
#include "kinds/postgres/gateway/message.hpp"
#include "kinds/postgres/gateway/wire.hpp"

namespace foreshadow::kinds::pg_gateway {

struct Backend {
  Backend(std::unique_ptr<proxy::Conn> connected, Instance at, std::uint64_t made_in_epoch)
      : conn(std::move(connected)), instance(std::move(at)), epoch(made_in_epoch) {
    conn->expect_more();
  }

  const std::unique_ptr<proxy::Conn> conn;
  Instance instance;
  std::uint64_t epoch;  // of the route table when it was opened
  Framer framer{Origin::backend};
  BackendKey key;                                 // what the server itself would accept in a cancel request
  std::map<std::string, std::string> parameters;  // as the server reported them
  bool dead = false;
  std::string last_words;            // an ErrorResponse that came while nothing was asked, whole
  std::uint64_t script_version = 0;  // of the session's script that it has followed
  bool flawed = false;               // some of it could not be repeated here
  bool catching_up = false;
  Exchange* exchange = nullptr;
  bool forwarding_rest = false;  // what becomes of the rest of the message being relayed

  bool serves(const Instance& other) const { return instance.id == other.id && instance.endpoint == other.endpoint; }
  // What the kernel holds of this connection that no read has told us yet. One system call.
  enum class Peek { quiet, data, closed };
  Peek peek();
  // Hangs up; politely where that can be done at once, which frees the server's process at once, too.
  void leave();
  // ParameterStatus, BackendKeyData.
  void note(const Piece& piece);
  bool in_recovery() const;
};

// The next piece of what the server says, read from the connection when nothing whole is unread; the caller consumes
// `size` bytes of that when it is done with the view. Errors: unreachable (connection lost), invalid (not the
// protocol).
boost::asio::awaitable<Result<Piece>> read_message(Backend& backend);

// Startup, authentication and everything up to the first ReadyForQuery. Errors: unreachable, timeout, refused (the
// server's own words, or why its password request cannot be answered), invalid.
boost::asio::awaitable<Result<std::shared_ptr<Backend>>> open_backend(std::shared_ptr<Dialer> dialer, Instance at,
                                                                      std::uint64_t epoch, Startup startup,
                                                                      const Credentials& credentials, Millis within);

// False: the connection is lost.
boost::asio::awaitable<bool> send(proxy::Conn& conn, std::string_view bytes);

}  // namespace foreshadow::kinds::pg_gateway
