// TLS for the tests' sockets, with OpenSSL directly and none of our code in between: a thread carries bytes between a
// connection under TLS and a plain socket, so that Stream and Backend speak through it as they are.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "kinds/http/net.hpp"
#include "support/certificates.hpp"

struct ssl_ctx_st;
struct ssl_session_st;
struct ssl_st;

namespace foreshadow::kinds::http::testing {

using foreshadow::testing::Authority;
using foreshadow::testing::Issued;

// Whom to be and whom to trust.
struct TlsWish {
  const Authority* trusts = nullptr;  // null: everybody
  const Issued* is = nullptr;         // null: nobody
  bool wants_client = false;          // servers: a certificate of the client that `trusts` vouches for
  std::string server_name;            // clients: SNI and the name to check; empty: neither
  std::vector<std::string> alpn;      // clients offer these; servers take the first of these that is offered
  bool goodbye = true;                // close_notify at the end
  bool stays = false;                 // and nothing else: the socket goes on
  bool only_1_2 = false;
};

// `wish` is referred to.
std::shared_ptr<ssl_ctx_st> make_tls_context(TlsWish& wish, bool server);

class TlsEnd {
 public:
  // Takes `fd`. Shakes hands before it returns; see ok().
  // Without `context` it makes its own, and then nobody can resume at it.
  TlsEnd(int fd, const TlsWish& wish, bool server, std::shared_ptr<ssl_session_st> resume = nullptr,
         std::shared_ptr<ssl_ctx_st> context = nullptr);
  ~TlsEnd();
  TlsEnd(const TlsEnd&) = delete;
  TlsEnd& operator=(const TlsEnd&) = delete;

  bool ok() const { return ok_; }
  std::string error() const;
  const std::string& alpn() const { return alpn_; }
  const std::string& version() const { return version_; }
  // Common name of the other side's certificate.
  const std::string& peer() const { return peer_; }
  bool resumed() const { return resumed_; }
  std::shared_ptr<ssl_session_st> session() const;
  // The server name that a client asked for.
  const std::string& asked() const { return asked_; }

  // What is written from now on is sent with the goodbye, as one segment.
  void gather();
  // The plain side, given away: for a Stream.
  int plain();
  // How the other side ended; after the plain side has seen the end.
  enum class End { open, clean, torn };
  End end() const { return end_; }

 private:
  void pump();
  int fd_;
  int inner_ = -1;  // ours of the pair
  int outer_ = -1;  // theirs
  TlsWish wish_;
  std::shared_ptr<ssl_ctx_st> context_;
  std::shared_ptr<ssl_st> ssl_;
  bool ok_ = false;
  std::string error_;
  std::string asked_, alpn_, version_, peer_;
  bool resumed_ = false;
  mutable std::mutex mutex_;  // over ssl_, once the thread runs
  std::atomic<End> end_ = End::open;
  std::atomic<bool> stopping_ = false;
  std::thread thread_;
};

// A connection to the port, under TLS.
struct TlsClientStream {
  std::unique_ptr<TlsEnd> tls;
  Stream stream;
};
// Throws when nobody listens or the handshake fails.
TlsClientStream connect_tls(std::uint16_t port, const TlsWish& wish, std::shared_ptr<ssl_session_st> resume = nullptr);
// The handshake's error, empty if there was none. TLS 1.3 tells a client of a refusal only after its own part is done,
// so this also waits for the server's first word.
std::string handshake_error(std::uint16_t port, const TlsWish& wish);

// For Backend: every connection under TLS. Keeps what it saw.
class TlsDoor {
 public:
  explicit TlsDoor(TlsWish wish) : wish_(std::move(wish)), context_(make_tls_context(wish_, true)) {}
  // The plain side of it, or -1.
  int open(int fd);
  std::vector<std::string> asked() const;    // server names
  std::vector<std::string> clients() const;  // common names of clients' certificates
  std::size_t resumed() const;
  std::size_t refused() const;  // handshakes that failed

 private:
  TlsWish wish_;
  std::shared_ptr<ssl_ctx_st> context_;
  mutable std::mutex mutex_;
  std::vector<std::unique_ptr<TlsEnd>> ends_;
  std::size_t refused_ = 0;
};

}  // namespace foreshadow::kinds::http::testing
