// Clients that libpq would not be: bytes in, bytes out, in the plain or under TLS.
#pragma once

#include <arpa/inet.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kinds/postgres/gateway/message.hpp"

namespace foreshadow::testing {

// A client without manners: bytes in, bytes out.
class Raw {
 public:
  explicit Raw(std::uint16_t port) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_port = htons(port);
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(fd_, reinterpret_cast<sockaddr*>(&at), sizeof at) != 0) throw std::runtime_error("connect");
  }
  Raw(const Raw&) = delete;
  Raw& operator=(const Raw&) = delete;
  ~Raw() { ::close(fd_); }
  void send(std::string_view bytes) const { static_cast<void>(::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL)); }
  // Reads until `enough` says so or the other side closes; empty after ten seconds of nothing.
  template <class Enough>
  std::string read(Enough&& enough) {
    std::string got;
    while (!enough(got)) {
      pollfd p{fd_, POLLIN, 0};
      if (poll(&p, 1, 10'000) <= 0) return "";
      char buffer[4096];
      const auto n = recv(fd_, buffer, sizeof buffer, 0);
      if (n <= 0) {
        closed_ = true;
        break;
      }
      got.append(buffer, static_cast<std::size_t>(n));
    }
    return got;
  }
  std::string read_all() {
    return read([](const std::string&) { return false; });
  }
  bool closed() const { return closed_; }
  int fd() const { return fd_; }

 private:
  int fd_;
  bool closed_ = false;
};

// What a client of `raw` hears under TLS: OpenSSL directly, and none of our code in between. Believes any certificate.
class RawTls {
 public:
  // `alpn`: what it offers; empty: nothing.
  explicit RawTls(const Raw& raw, const std::string& alpn = {}) : raw_(raw) {
    const timeval patience{10, 0};
    setsockopt(raw.fd(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    const std::string list = static_cast<char>(alpn.size()) + alpn;
    if (!alpn.empty())
      SSL_set_alpn_protos(ssl_.get(), reinterpret_cast<const unsigned char*>(list.data()),
                          static_cast<unsigned>(list.size()));
    SSL_set_fd(ssl_.get(), raw.fd());
    ok_ = SSL_connect(ssl_.get()) == 1;
  }
  bool ok() const { return ok_; }
  void send(std::string_view bytes) const {
    static_cast<void>(SSL_write(ssl_.get(), bytes.data(), static_cast<int>(bytes.size())));
  }
  // Until `enough` says so, or the other side ends, or ten seconds of nothing.
  template <class Enough>
  std::string read(Enough&& enough) {
    std::string got;
    char buffer[4096];
    while (!enough(got)) {
      const int n = SSL_read(ssl_.get(), buffer, sizeof buffer);
      if (n <= 0) {
        said_goodbye_ = SSL_get_error(ssl_.get(), n) == SSL_ERROR_ZERO_RETURN;
        break;
      }
      got.append(buffer, static_cast<std::size_t>(n));
    }
    return got;
  }
  std::string read_all() {
    return read([](const std::string&) { return false; });
  }
  // The end came with a close_notify.
  bool said_goodbye() const { return said_goodbye_; }
  // Common name of the other side.
  std::string peer() const {
    const auto* certificate = SSL_get0_peer_certificate(ssl_.get());
    char name[128] = "";
    if (certificate != nullptr)
      X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, name, sizeof name);
    return name;
  }

 private:
  const Raw& raw_;
  std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context_{SSL_CTX_new(TLS_client_method()), SSL_CTX_free};
  std::unique_ptr<SSL, decltype(&SSL_free)> ssl_{SSL_new(context_.get()), SSL_free};
  bool ok_ = false;
  bool said_goodbye_ = false;
};

inline std::string startup(std::vector<std::pair<std::string, std::string>> parameters) {
  kinds::pg_gateway::Startup s;
  s.version = 3 << 16;
  s.parameters = std::move(parameters);
  return kinds::pg_gateway::startup_packet(s);
}

}  // namespace foreshadow::testing
