// One connection of the loader on loopback, in the plain or under TLS. Under TLS the loader names one version, one
// cipher suite, one curve and one protocol, so that every proxy does the same work whatever it would choose. It never
// resumes a session and never waits: whoever calls has epoll.
#pragma once

#include <openssl/ssl.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace foreshadow::bench {

// What all connections of a loader share. Certificates must lead to `ca_file`.
class ClientTls {
 public:
  // `protocol`: the only one offered by ALPN. Ends the program where OpenSSL refuses any of it.
  ClientTls(const std::string& ca_file, std::string protocol);

  SSL_CTX* context() const { return context_.get(); }
  const std::string& protocol() const { return protocol_; }

 private:
  std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context_;
  std::string protocol_;
};

class Wire {
 public:
  enum class Progress { connected, wants_read, wants_write, failed };

  // Begins to connect; a refusal shows in proceed(). `tls`: null for a connection in the plain; it outlives this.
  Wire(std::uint16_t port, const ClientTls* tls);
  Wire(const Wire&) = delete;
  Wire& operator=(const Wire&) = delete;
  ~Wire();

  int fd() const { return fd_; }

  // Goes on with connecting and the handshake, after an event.
  Progress proceed();

  // Bytes read, zero: none for now, negative: the other end has gone, or was not to be understood.
  std::ptrdiff_t read(std::span<char> into);
  // Are there bytes of which epoll says nothing, for TLS has read them already?
  bool has_buffered() const { return ssl_ && SSL_has_pending(ssl_.get()) == 1; }

  // Takes from the front of `unsent` what goes out now. False: the connection is over.
  bool write(std::string& unsent);

 private:
  // Was agreed what was asked for?
  bool as_asked() const;

  const ClientTls* tls_;
  int fd_ = -1;
  bool reached_ = false;
  std::unique_ptr<SSL, decltype(&SSL_free)> ssl_{nullptr, SSL_free};
};

}  // namespace foreshadow::bench
