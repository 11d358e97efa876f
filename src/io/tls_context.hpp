// Keys, certificates and rules made ready for connections: one object per listener or per upstream, made anew when a
// file changes. Connections keep the one they began with. TLS 1.2 and 1.3, forward secrecy and authenticated ciphers
// only, no compression, no renegotiation, no early data.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "base/result.hpp"
#include "io/tls_settings.hpp"
#include "io/tls_stream.hpp"

struct ssl_ctx_st;
struct ssl_session_st;

namespace foreshadow::io {

// Immutable once loaded; accept() on any thread. Resumption is by tickets under a key that dies with the object, so
// that nobody resumes past new rules.
class TlsServer : public std::enable_shared_from_this<TlsServer> {
 public:
  // Errors as io/tls_files. A certificate that is out of date is taken, and told to the log.
  static Result<std::shared_ptr<const TlsServer>> load(const TlsServerSettings& settings);
  std::unique_ptr<TlsStream> accept() const;

 private:
  using Context = std::shared_ptr<ssl_ctx_st>;
  Result<void> add(const CertificateFiles& files);
  Result<void> ask_for_clients(ssl_ctx_st* context) const;
  static int choose_certificate(struct ssl_st* ssl, int* alert, void* self);
  static int choose_protocol(struct ssl_st* ssl, const unsigned char** chosen, unsigned char* chosen_size,
                             const unsigned char* offered, unsigned offered_size, void* self);

  TlsServerSettings settings_;
  std::vector<Context> contexts_;               // in the order of the settings
  std::map<std::string, ssl_ctx_st*> by_name_;  // "shop.example.com", "*.example.com"
};

// Remembers the last session of each peer, so that the next connection costs no signature. One thread.
class TlsClient {
 public:
  static Result<std::shared_ptr<TlsClient>> load(const TlsClientSettings& settings);
  enum class NameCheck {
    on,
    off,  // anybody may answer whom the authority ever vouched for, under whatever name
  };
  // `server_name`: whom the certificate must be for, a name or an IP address; a name is also asked for (SNI).
  // `peer`: whose session to resume. `alpn`: offered in place of the settings', unless empty. Null: the name cannot be
  // one.
  std::unique_ptr<TlsStream> connect(const std::string& server_name, const std::string& peer,
                                     const std::vector<std::string>& alpn = {}, NameCheck check = NameCheck::on);

 private:
  struct Slot {
    std::shared_ptr<ssl_session_st> session;
  };
  static int keep_session(struct ssl_st* ssl, ssl_session_st* session);
  TlsClientSettings settings_;
  std::shared_ptr<ssl_ctx_st> context_;
  std::map<std::string, std::shared_ptr<Slot>> slots_;  // shared with connections, whose tickets come late
};

}  // namespace foreshadow::io
