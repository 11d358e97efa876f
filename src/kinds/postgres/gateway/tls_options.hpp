// TLS at PostgreSQL's, as its options say: what clients must come with, and how servers are spoken to. The words are
// PgBouncer's (client_tls_sslmode, server_tls_sslmode), with underscores.
//
// Reads values only; check_tls_files() alone looks at files.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "io/tls_settings.hpp"

namespace foreshadow::kinds::pg_gateway {

enum class ClientTls {
  off,          // a request for it is answered with "no"
  allow,        // for who asks
  require,      // no session without it
  verify_ca,    // nor without a certificate that listener.tls.client_ca_file vouches for
  verify_full,  // whose common name is the session's user (pg_hba.conf's clientcert=verify-full)
};

enum class UpstreamTls {
  off,
  prefer,       // where the server speaks it; whoever can answer in its place can say that it does not
  require,      // whoever answers, none of it in the plain
  verify_ca,    // with a certificate that the authority vouches for
  verify_full,  // for the server's name
};

struct TlsOptions {
  std::optional<ClientTls> clients;  // nothing: not said
  UpstreamTls upstream = UpstreamTls::off;
  io::TlsClientSettings client;  // ours towards servers
  std::string server_name;       // whom their certificate must be for; empty: the host of their address
};

struct TlsOption {
  const char* name;
  const char* help;
};
const std::vector<TlsOption>& tls_option_list();

// Those of the list among `options`. Error: invalid, "option NAME: " and the mend.
Result<TlsOptions> tls_options(const std::map<std::string, std::string>& options);

// What clients must come with at a listener with these certificates: where it has some and nothing is said, TLS.
// Errors: invalid, "option client_tls: ".
Result<ClientTls> client_tls(const TlsOptions& options, const io::TlsServerSettings& listener);

// Errors: as io/tls_files, naming the option.
Result<void> check_tls_files(const TlsOptions& options);

}  // namespace foreshadow::kinds::pg_gateway
