// What TLS needs to be told, for both roles. Plain values: the configuration is read without OpenSSL's headers.
#pragma once

#include <string>
#include <vector>

namespace foreshadow::io {

// PEM. The certificate file holds the leaf first, then what leads to its root.
struct CertificateFiles {
  std::string certificate_file;
  std::string key_file;
  friend bool operator==(const CertificateFiles&, const CertificateFiles&) = default;
};

enum class ClientCertificates {
  off,      // none is asked for
  request,  // one that is shown must be good
  require,  // nobody comes in without a good one
};

struct TlsServerSettings {
  // The first also serves who names no server, or one that no certificate is for. Empty: no TLS.
  std::vector<CertificateFiles> certificates;
  ClientCertificates client_certificates = ClientCertificates::off;
  std::string client_ca_file;
  // Protocols offered (RFC 7301), best first. A client that offers ALPN and none of these is refused.
  std::vector<std::string> alpn{"http/1.1"};
  friend bool operator==(const TlsServerSettings&, const TlsServerSettings&) = default;
};

struct TlsClientSettings {
  bool verify = true;            // false: anybody may answer in the server's place
  std::string ca_file;           // empty: the system's store
  CertificateFiles certificate;  // ours, for a server that asks; empty: none
  std::vector<std::string> alpn{"http/1.1"};
  friend bool operator==(const TlsClientSettings&, const TlsClientSettings&) = default;
};

}  // namespace foreshadow::io
