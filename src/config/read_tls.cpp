#include "config/read_tls.hpp"

#include <fmt/format.h>

#include "io/tls_files.hpp"

namespace foreshadow::config {
namespace {

// The key is only held against a certificate that could be read: one mistake is told once.
void check_pair(Fields& f, const io::CertificateFiles& files) {
  const auto certificate = io::read_certificate(files.certificate_file);
  if (!certificate) f.problem("certificate_file", fmt::format("certificate_file: {}", certificate.error().what));
  const auto key = io::read_private_key(files.key_file);
  if (!key) f.problem("key_file", fmt::format("key_file: {}", key.error().what));
  if (!certificate || !key) return;
  if (const auto fits = io::check_key_fits(*certificate, *key, files.key_file); !fits)
    f.problem("key_file", fmt::format("key_file: {}", fits.error().what));
}

}  // namespace

void read_tls(Fields& f, proxy::ListenerSettings& listener) {
  auto& tls = listener.tls;
  const bool ask = f.reading().ask == Ask::files;
  f.each(
      "certificates",
      [&](Fields& c) {
        io::CertificateFiles files;
        c.path("certificate_file", files.certificate_file, Need::required);
        c.path("key_file", files.key_file, Need::required);
        if (ask && c.sound()) check_pair(c, files);
        tls.certificates.push_back(std::move(files));
      },
      Need::required);
  using io::ClientCertificates;
  f.one_of<ClientCertificates>("client_certificates", tls.client_certificates,
                               {{"off", ClientCertificates::off},
                                {"request", ClientCertificates::request},
                                {"require", ClientCertificates::require}});
  f.path("client_ca_file", tls.client_ca_file);
  f.duration("check_interval", listener.tls_check_interval, Millis{100});
  const bool wanted = tls.client_certificates != ClientCertificates::off;
  if (f.sound() && tls.certificates.empty())
    f.problem("certificates", "certificates: the list is empty; name at least one, or remove tls:");
  if (wanted && !f.has("client_ca_file"))
    f.problem("client_certificates",
              "client_certificates: nobody is named who vouches for clients; add client_ca_file:");
  if (!wanted && f.sound() && f.has("client_ca_file"))
    f.problem("client_ca_file",
              "client_ca_file: clients are not asked for certificates; add client_certificates: require");
  if (!ask || tls.client_ca_file.empty()) return;
  if (const auto read = io::read_authorities(tls.client_ca_file); !read)
    f.problem("client_ca_file", fmt::format("client_ca_file: {}", read.error().what));
}

}  // namespace foreshadow::config
