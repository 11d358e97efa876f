#include "wire.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <utility>

namespace foreshadow::bench {
namespace {

constexpr const char* kCipher = "TLS_AES_128_GCM_SHA256";
constexpr const char* kCurve = "P-256";

}  // namespace

ClientTls::ClientTls(const std::string& ca_file, std::string protocol)
    : context_(SSL_CTX_new(TLS_client_method()), SSL_CTX_free), protocol_(std::move(protocol)) {
  auto* const c = context_.get();
  const auto offer = static_cast<char>(protocol_.size()) + protocol_;
  // SSL_CTX_set_alpn_protos, alone among these, says 0 where it succeeds.
  if (!c || SSL_CTX_set_min_proto_version(c, TLS1_3_VERSION) != 1 || SSL_CTX_set_ciphersuites(c, kCipher) != 1 ||
      SSL_CTX_set1_groups_list(c, kCurve) != 1 ||
      SSL_CTX_set_alpn_protos(c, reinterpret_cast<const unsigned char*>(offer.data()),
                              static_cast<unsigned>(offer.size())) != 0 ||
      SSL_CTX_load_verify_locations(c, ca_file.c_str(), nullptr) != 1) {
    fmt::print(stderr, "TLS with {}: ", ca_file);
    ERR_print_errors_fp(stderr);
    std::exit(1);
  }
  SSL_CTX_set_verify(c, SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_mode(c, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  // One system call a record, not two.
  SSL_CTX_set_read_ahead(c, 1);
}

Wire::Wire(std::uint16_t port, const ClientTls* tls)
    : tls_(tls), fd_(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)) {
  const int on = 1;
  setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(port);
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  // Refusal shows as an event.
  static_cast<void>(connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof to));
  if (!tls_) return;
  ssl_.reset(SSL_new(tls_->context()));
  SSL_set_fd(ssl_.get(), fd_);
  SSL_set_connect_state(ssl_.get());
}

Wire::~Wire() {
  if (fd_ >= 0) close(fd_);
}

Wire::Progress Wire::proceed() {
  if (!reached_) {
    int error = 0;
    socklen_t length = sizeof error;
    getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &length);
    if (error != 0) return Progress::failed;
    sockaddr_in peer{};
    length = sizeof peer;
    if (getpeername(fd_, reinterpret_cast<sockaddr*>(&peer), &length) != 0) return Progress::wants_write;
    reached_ = true;
  }
  if (!ssl_) return Progress::connected;
  ERR_clear_error();
  const int done = SSL_do_handshake(ssl_.get());
  if (done == 1) return as_asked() ? Progress::connected : Progress::failed;
  switch (SSL_get_error(ssl_.get(), done)) {
    case SSL_ERROR_WANT_READ:
      return Progress::wants_read;
    case SSL_ERROR_WANT_WRITE:
      return Progress::wants_write;
    default:
      return Progress::failed;
  }
}

bool Wire::as_asked() const {
  const unsigned char* name = nullptr;
  unsigned length = 0;
  SSL_get0_alpn_selected(ssl_.get(), &name, &length);
  const std::string_view chosen(reinterpret_cast<const char*>(name), length);
  // A proxy that does not know ALPN speaks HTTP/1.1.
  return chosen == tls_->protocol() || (chosen.empty() && tls_->protocol() == "http/1.1");
}

std::ptrdiff_t Wire::read(std::span<char> into) {
  if (!ssl_) {
    const auto n = recv(fd_, into.data(), into.size(), 0);
    if (n > 0) return n;
    return n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
  }
  ERR_clear_error();
  const int n = SSL_read(ssl_.get(), into.data(), static_cast<int>(into.size()));
  if (n > 0) return n;
  return SSL_get_error(ssl_.get(), n) == SSL_ERROR_WANT_READ ? 0 : -1;
}

bool Wire::write(std::string& unsent) {
  while (!unsent.empty()) {
    std::ptrdiff_t n = 0;
    if (ssl_) {
      ERR_clear_error();
      n = SSL_write(ssl_.get(), unsent.data(), static_cast<int>(unsent.size()));
      if (n <= 0) return SSL_get_error(ssl_.get(), static_cast<int>(n)) == SSL_ERROR_WANT_WRITE;
    } else {
      n = send(fd_, unsent.data(), unsent.size(), MSG_NOSIGNAL);
      if (n < 0) return errno == EAGAIN || errno == EINTR;
    }
    unsent.erase(0, static_cast<std::size_t>(n));
  }
  return true;
}

}  // namespace foreshadow::bench
