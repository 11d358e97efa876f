// What the sessions of one listener share: settings, passwords, the mirror's connections, and the register that maps
// the cancel keys we gave out to the sessions they belong to. And what they do together where a handover turns
// (hub_settle.cpp). On the gateway's one thread.
#pragma once

#include <memory>
#include <unordered_map>
#include <vector>

#include "domain/histogram.hpp"
#include "kinds/postgres/gateway/credentials.hpp"
#include "kinds/postgres/gateway/dial.hpp"
#include "kinds/postgres/gateway/link.hpp"
#include "kinds/postgres/gateway/message.hpp"
#include "kinds/postgres/gateway/mirror.hpp"
#include "proxy/gate.hpp"
#include "proxy/settings.hpp"
#include "proxy/settler.hpp"

namespace foreshadow::kinds::pg_gateway {

class Session;

// What a listener's TLS is, both ways; read and found good.
struct Tls {
  TlsOptions options;
  ClientTls clients = ClientTls::off;
  std::shared_ptr<proxy::Credentials> files;  // with a server unless `clients` is off, a client unless upstream is
};

class Hub : public std::enable_shared_from_this<Hub>, public proxy::Settler {
 public:
  Hub(proxy::ListenerSettings settings, Tls tls, boost::asio::any_io_executor executor);

  // The first segment whose conditions all hold; one past the last when none does.
  std::size_t segment_of(const Startup& startup) const;

  // A session is registered under a fresh key from here until remove(); the key is what its client may cancel with.
  BackendKey add(Session& session);
  // Gives the key the process id of the session's first server, unless another session has it: clients compare what
  // they were told with pg_backend_pid() and with the sender of a notification. The secret stays ours. A session that
  // moves keeps the key it was given.
  void adopt(BackendKey& key, std::uint32_t pid);
  void remove(Session& session, const BackendKey& key);

  // Passes a client's cancel request on to the server its session uses at this moment, if the key is right and the
  // session is busy. A wrong key is ignored, as the server itself does; more than a few dozen at once are too.
  boost::asio::awaitable<void> cancel(Startup request);
  boost::asio::awaitable<void> cancel_at(Instance at, BackendKey key);

  // Of the gate whose sessions these are.
  void turn(Turn turn, proxy::Stay stay) override;

  // Ends idle sessions now and busy ones after their transaction.
  void stop();
  bool stopping() const { return stopping_; }

  const boost::asio::any_io_executor executor;
  const proxy::ListenerSettings settings;
  const Tls tls;
  const std::shared_ptr<proxy::Watchdog> watchdog;
  const std::shared_ptr<Dialer> dialer;
  const Credentials credentials;
  const std::shared_ptr<MirrorPool> mirror;
  Histogram work_lengths;  // of transactions, their client's own pauses among it
  int warming = 0;  // connections to the shadow being opened ahead of time, over all sessions

 private:
  boost::asio::awaitable<void> tend();
  std::vector<std::shared_ptr<Session>> everybody() const;
  boost::asio::awaitable<void> settle(std::vector<std::shared_ptr<Session>> all, proxy::Stay stay);

  struct Entry {
    Session* session = nullptr;
    std::string secret;
  };
  std::unordered_map<std::uint32_t, Entry> sessions_;
  boost::asio::steady_timer tick_;
  bool tending_ = false;
  bool stopping_ = false;
  int cancels_ = 0;
};

}  // namespace foreshadow::kinds::pg_gateway
