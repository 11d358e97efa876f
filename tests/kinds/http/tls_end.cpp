#include "kinds/http/tls_end.hpp"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <mutex>
#include <stdexcept>
#include <utility>

namespace foreshadow::kinds::http::testing {
namespace {

constexpr int kPatienceMs = 20'000;

template <class Read>
auto from_pem(const std::string& text, Read read) {
  const std::unique_ptr<BIO, decltype(&BIO_free)> bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())),
                                                      BIO_free);
  return read(bio.get());
}

int take_protocol(SSL*, const unsigned char** out, unsigned char* size, const unsigned char* offered, unsigned n,
                  void* wish) {
  for (const auto& ours : static_cast<TlsWish*>(wish)->alpn)
    for (unsigned at = 0; at < n; at += 1U + offered[at])
      if (std::string_view(reinterpret_cast<const char*>(offered + at + 1), offered[at]) == ours) {
        *out = offered + at + 1;
        *size = offered[at];
        return SSL_TLSEXT_ERR_OK;
      }
  return SSL_TLSEXT_ERR_NOACK;
}

bool wait_for(int fd, int ssl_error) {
  pollfd one{fd, static_cast<short>(ssl_error == SSL_ERROR_WANT_WRITE ? POLLOUT : POLLIN), 0};
  return (ssl_error == SSL_ERROR_WANT_READ || ssl_error == SSL_ERROR_WANT_WRITE) && poll(&one, 1, kPatienceMs) == 1;
}

}  // namespace

std::shared_ptr<SSL_CTX> make_tls_context(TlsWish& wish, bool server) {
  // OpenSSL's socket BIO knows no MSG_NOSIGNAL.
  std::signal(SIGPIPE, SIG_IGN);
  std::shared_ptr<SSL_CTX> context(SSL_CTX_new(server ? TLS_server_method() : TLS_client_method()), SSL_CTX_free);
  auto* c = context.get();
  SSL_CTX_set_mode(c, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  if (wish.only_1_2) SSL_CTX_set_max_proto_version(c, TLS1_2_VERSION);
  if (wish.is != nullptr) {
    auto* cert = from_pem(wish.is->certificate, [](BIO* b) { return PEM_read_bio_X509(b, nullptr, nullptr, nullptr); });
    auto* key = from_pem(wish.is->key, [](BIO* b) { return PEM_read_bio_PrivateKey(b, nullptr, nullptr, nullptr); });
    SSL_CTX_use_certificate(c, cert);
    SSL_CTX_use_PrivateKey(c, key);
    X509_free(cert);
    EVP_PKEY_free(key);
  }
  if (wish.trusts != nullptr) {
    auto* ca = from_pem(wish.trusts->pem(), [](BIO* b) { return PEM_read_bio_X509(b, nullptr, nullptr, nullptr); });
    X509_STORE_add_cert(SSL_CTX_get_cert_store(c), ca);
    X509_free(ca);
    if (!server || wish.wants_client) SSL_CTX_set_verify(c, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  }
  SSL_CTX_set_session_id_context(c, reinterpret_cast<const unsigned char*>("test"), 4);
  if (server) SSL_CTX_set_alpn_select_cb(c, take_protocol, &wish);
  return context;
}

TlsEnd::TlsEnd(int fd, const TlsWish& wish, bool server, std::shared_ptr<SSL_SESSION> resume,
               std::shared_ptr<SSL_CTX> context)
    : fd_(fd), wish_(wish), context_(context ? std::move(context) : make_tls_context(wish_, server)) {
  ssl_ = {SSL_new(context_.get()), SSL_free};
  auto* s = ssl_.get();
  fcntl(fd_, F_SETFL, fcntl(fd_, F_GETFL) | O_NONBLOCK);
  SSL_set_fd(s, fd_);
  if (server) {
    SSL_set_accept_state(s);
  } else {
    SSL_set_connect_state(s);
    std::string offer;
    for (const auto& name : wish_.alpn) (offer += static_cast<char>(name.size())) += name;
    SSL_set_alpn_protos(s, reinterpret_cast<const unsigned char*>(offer.data()), static_cast<unsigned>(offer.size()));
    if (!wish_.server_name.empty()) {
      SSL_set_tlsext_host_name(s, wish_.server_name.c_str());
      SSL_set1_host(s, wish_.server_name.c_str());
    }
    if (resume) SSL_set_session(s, resume.get());
  }
  ERR_clear_error();
  int result = 0;
  while ((result = SSL_do_handshake(s)) != 1)
    if (!wait_for(fd_, SSL_get_error(s, result))) break;
  ok_ = result == 1;
  if (!ok_) {
    const char* reason = ERR_reason_error_string(ERR_peek_last_error());
    error_ = reason != nullptr ? reason : "connection ended";
    ERR_clear_error();
    return;
  }
  if (const char* name = SSL_get_servername(s, TLSEXT_NAMETYPE_host_name)) asked_ = name;
  const unsigned char* protocol = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(s, &protocol, &size);
  alpn_.assign(reinterpret_cast<const char*>(protocol), size);
  version_ = SSL_get_version(s);
  resumed_ = SSL_session_reused(s) == 1;
  if (const auto* cert = SSL_get0_peer_certificate(s)) {
    char name[256] = {};
    X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName, name, sizeof name);
    peer_ = name;
  }
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) throw std::runtime_error("socketpair");
  inner_ = pair[0];
  outer_ = pair[1];
  fcntl(inner_, F_SETFL, fcntl(inner_, F_GETFL) | O_NONBLOCK);
  thread_ = std::thread([this] { pump(); });
}

TlsEnd::~TlsEnd() {
  stopping_ = true;
  if (outer_ >= 0) shutdown(outer_, SHUT_RDWR);
  if (thread_.joinable()) thread_.join();
  for (const int fd : {inner_, outer_, fd_})
    if (fd >= 0) close(fd);
}

namespace {
void gather(int fd, int on) { setsockopt(fd, IPPROTO_TCP, TCP_CORK, &on, sizeof on); }
}  // namespace

void TlsEnd::gather() { testing::gather(fd_, 1); }

void TlsEnd::pump() {
  auto* s = ssl_.get();
  std::string in, out;  // towards the plain side, towards TLS
  bool tls_ended = false, plain_ended = false, said_goodbye = false;
  char buffer[16384];
  for (;;) {
    bool moved = false;
    std::unique_lock lock(mutex_);
    ERR_clear_error();
    if (!tls_ended && in.size() < (1 << 20)) {
      const int n = SSL_read(s, buffer, sizeof buffer);
      if (n > 0) {
        in.append(buffer, static_cast<std::size_t>(n));
        moved = true;
      } else if (const int error = SSL_get_error(s, n); error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) {
        end_ = error == SSL_ERROR_ZERO_RETURN ? End::clean : End::torn;
        if (const char* reason = ERR_reason_error_string(ERR_peek_last_error())) error_ = reason;
        tls_ended = moved = true;
      }
    }
    if (!in.empty()) {
      const auto n = send(inner_, in.data(), in.size(), MSG_NOSIGNAL);
      if (n > 0) in.erase(0, static_cast<std::size_t>(n));
      moved = moved || n > 0;
      if (n < 0 && errno != EAGAIN) in.clear();
    }
    if (tls_ended && in.empty()) shutdown(inner_, SHUT_WR);
    if (!plain_ended && out.size() < (1 << 20)) {
      const auto n = recv(inner_, buffer, sizeof buffer, 0);
      if (n > 0) out.append(buffer, static_cast<std::size_t>(n));
      moved = moved || n > 0;
      if (n == 0 || (n < 0 && errno != EAGAIN)) plain_ended = moved = true;
    }
    if (!out.empty()) {
      const int n = SSL_write(s, out.data(), static_cast<int>(std::min<std::size_t>(out.size(), 16384)));
      if (n > 0) {
        out.erase(0, static_cast<std::size_t>(n));
        moved = true;
      } else if (const int error = SSL_get_error(s, n); error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) {
        out.clear();
        plain_ended = true;
      }
    }
    if (plain_ended && out.empty() && !said_goodbye) {
      said_goodbye = moved = true;
      if (wish_.goodbye && end_ != End::torn) SSL_shutdown(s);
      testing::gather(fd_, 0);
      if (!wish_.stays) shutdown(fd_, SHUT_WR);
    }
    if ((plain_ended && tls_ended && in.empty() && out.empty()) || stopping_) return;
    if (moved) continue;
    lock.unlock();
    pollfd both[2] = {{tls_ended ? -1 : fd_, static_cast<short>(POLLIN | (out.empty() ? 0 : POLLOUT)), 0},
                      {inner_, static_cast<short>((plain_ended ? 0 : POLLIN) | (in.empty() ? 0 : POLLOUT)), 0}};
    if (plain_ended && in.empty()) both[1].fd = -1;
    poll(both, 2, 20);
  }
}

std::shared_ptr<SSL_SESSION> TlsEnd::session() const {
  const std::lock_guard lock(mutex_);
  return {SSL_get1_session(ssl_.get()), SSL_SESSION_free};
}
std::string TlsEnd::error() const {
  const std::lock_guard lock(mutex_);
  return error_;
}
int TlsEnd::plain() { return std::exchange(outer_, -1); }

namespace {
int connected(std::uint16_t port) {
  auto stream = Stream::connect(port);
  if (!stream) throw std::runtime_error("nobody listens");
  return fcntl(stream->fd(), F_DUPFD_CLOEXEC, 0);
}
}  // namespace

TlsClientStream connect_tls(std::uint16_t port, const TlsWish& wish, std::shared_ptr<SSL_SESSION> resume) {
  auto tls = std::make_unique<TlsEnd>(connected(port), wish, false, std::move(resume));
  if (!tls->ok()) throw std::runtime_error("handshake: " + tls->error());
  const int plain = tls->plain();
  return {std::move(tls), Stream(plain)};
}

std::string handshake_error(std::uint16_t port, const TlsWish& wish) {
  TlsEnd tls(connected(port), wish, false);
  if (!tls.ok()) return tls.error();
  Stream stream(tls.plain());
  stream.send("GET / HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n");
  if (!stream.read_all().empty()) return {};
  return tls.error().empty() ? "ended" : tls.error();
}

int TlsDoor::open(int fd) {
  auto end = std::make_unique<TlsEnd>(fcntl(fd, F_DUPFD_CLOEXEC, 0), wish_, true, nullptr, context_);
  const std::lock_guard lock(mutex_);
  if (!end->ok()) {
    ++refused_;
    return -1;
  }
  const int plain = end->plain();
  ends_.push_back(std::move(end));
  return plain;
}

std::vector<std::string> TlsDoor::asked() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> names;
  for (const auto& end : ends_) names.push_back(end->asked());
  return names;
}

std::vector<std::string> TlsDoor::clients() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> names;
  for (const auto& end : ends_) names.push_back(end->peer());
  return names;
}

std::size_t TlsDoor::resumed() const {
  const std::lock_guard lock(mutex_);
  std::size_t sum = 0;
  for (const auto& end : ends_) sum += end->resumed() ? 1 : 0;
  return sum;
}

std::size_t TlsDoor::refused() const {
  const std::lock_guard lock(mutex_);
  return refused_;
}

}  // namespace foreshadow::kinds::http::testing
