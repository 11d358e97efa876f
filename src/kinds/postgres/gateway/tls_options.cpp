#include "kinds/postgres/gateway/tls_options.hpp"

#include <fmt/format.h>

#include <utility>

#include "io/tls_files.hpp"

namespace foreshadow::kinds::pg_gateway {
namespace {

using Map = std::map<std::string, std::string>;

template <class Mode, std::size_t N>
Result<Mode> one_of(const char* name, const std::string& text, const std::pair<const char*, Mode> (&words)[N]) {
  std::string known;
  for (const auto& [word, mode] : words) {
    if (text == word) return mode;
    known += (known.empty() ? "" : ", ") + std::string(word);
  }
  return fail(Code::invalid, fmt::format("option {}: '{}' must be one of {}", name, text, known));
}

constexpr std::pair<const char*, ClientTls> kClient[] = {{"off", ClientTls::off},
                                                         {"allow", ClientTls::allow},
                                                         {"require", ClientTls::require},
                                                         {"verify_ca", ClientTls::verify_ca},
                                                         {"verify_full", ClientTls::verify_full}};
constexpr std::pair<const char*, UpstreamTls> kUpstream[] = {{"off", UpstreamTls::off},
                                                             {"prefer", UpstreamTls::prefer},
                                                             {"require", UpstreamTls::require},
                                                             {"verify_ca", UpstreamTls::verify_ca},
                                                             {"verify_full", UpstreamTls::verify_full}};

std::string value(const Map& options, const char* name) {
  const auto found = options.find(name);
  return found == options.end() ? std::string() : found->second;
}

// What only makes sense together.
Result<void> check_together(const TlsOptions& tls, const Map& given) {
  if (tls.upstream == UpstreamTls::off)
    for (const auto* name :
         {"upstream_ca_file", "upstream_server_name", "upstream_certificate_file", "upstream_key_file"})
      if (given.contains(name))
        return fail(Code::invalid,
                    fmt::format("option {}: there is no TLS to use it for; add upstream_tls: verify_full", name));
  if (!tls.client.verify && !tls.client.ca_file.empty())
    return fail(Code::invalid,
                fmt::format("option upstream_ca_file: upstream_tls: {} asks no authority; write verify_full instead",
                            value(given, "upstream_tls")));
  const auto& pair = tls.client.certificate;
  if (pair.certificate_file.empty() != pair.key_file.empty())
    return fail(Code::invalid, fmt::format("option {}: the certificate and its key belong together; add {}",
                                           pair.key_file.empty() ? "upstream_certificate_file" : "upstream_key_file",
                                           pair.key_file.empty() ? "upstream_key_file" : "upstream_certificate_file"));
  return {};
}

}  // namespace

const std::vector<TlsOption>& tls_option_list() {
  static const std::vector<TlsOption> list{
      {"client_tls",
       "from clients: off, allow, require, verify_ca or verify_full (require where listener.tls is given, else off)"},
      {"upstream_tls", "to servers over TCP: off (default), prefer, require, verify_ca or verify_full"},
      {"upstream_ca_file", "who vouches for servers (the system's store)"},
      {"upstream_server_name",
       "whom servers' certificates must be for (the host of the address); an instance's attribute tls_server_name "
       "outranks it"},
      {"upstream_certificate_file", "our certificate, for servers that ask for one"},
      {"upstream_key_file", "the key of upstream_certificate_file"},
  };
  return list;
}

Result<TlsOptions> tls_options(const Map& options) {
  TlsOptions tls;
  if (const auto found = options.find("client_tls"); found != options.end()) {
    FS_TRY(mode, one_of("client_tls", found->second, kClient));
    tls.clients = mode;
  }
  if (const auto found = options.find("upstream_tls"); found != options.end()) {
    FS_TRY(mode, one_of("upstream_tls", found->second, kUpstream));
    tls.upstream = mode;
  }
  for (const auto* name :
       {"upstream_ca_file", "upstream_server_name", "upstream_certificate_file", "upstream_key_file"})
    if (const auto found = options.find(name); found != options.end() && found->second.empty())
      return fail(Code::invalid, fmt::format("option {}: must not be empty; remove it", name));
  tls.client.ca_file = value(options, "upstream_ca_file");
  tls.client.certificate = {value(options, "upstream_certificate_file"), value(options, "upstream_key_file")};
  // As libpq 17 does. Servers before 17 know no ALPN and let it pass.
  tls.client.alpn = {"postgresql"};
  tls.client.verify = tls.upstream >= UpstreamTls::verify_ca;
  tls.server_name = value(options, "upstream_server_name");
  FS_CHECK(check_together(tls, options));
  return tls;
}

Result<ClientTls> client_tls(const TlsOptions& options, const io::TlsServerSettings& listener) {
  const bool able = !listener.certificates.empty();
  const auto mode = options.clients.value_or(able ? ClientTls::require : ClientTls::off);
  if (mode == ClientTls::off && able)
    return fail(Code::invalid, "option client_tls: off, and listener.tls has certificates for it; remove one of them");
  if (mode != ClientTls::off && !able)
    return fail(Code::invalid, "option client_tls: there is no certificate to show; add listener.tls");
  if (mode >= ClientTls::verify_ca && listener.client_certificates != io::ClientCertificates::require)
    return fail(Code::invalid,
                "option client_tls: clients' certificates are to be verified; add client_certificates: require and "
                "client_ca_file to listener.tls");
  return mode;
}

Result<void> check_tls_files(const TlsOptions& options) {
  const auto blame = [](const char* option, const Error& error) {
    return fail(error.code, fmt::format("option {}: {}", option, error.what));
  };
  if (options.client.verify)
    if (const auto read = io::read_authorities(options.client.ca_file); !read)
      return blame("upstream_ca_file", read.error());
  const auto& files = options.client.certificate;
  if (files.certificate_file.empty()) return {};
  const auto certificate = io::read_certificate(files.certificate_file);
  if (!certificate) return blame("upstream_certificate_file", certificate.error());
  const auto key = io::read_private_key(files.key_file);
  if (!key) return blame("upstream_key_file", key.error());
  if (const auto fits = io::check_key_fits(*certificate, *key, files.key_file); !fits)
    return blame("upstream_key_file", fits.error());
  return {};
}

}  // namespace foreshadow::kinds::pg_gateway
