#include "io/tls_context.hpp"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <algorithm>

#include "base/assert.hpp"
#include "base/log.hpp"
#include "io/tls_files.hpp"

namespace foreshadow::io {
namespace {

// TLS 1.2's; those of 1.3 are all good, and OpenSSL's own order stands.
constexpr const char* kCiphers = "ECDHE+AESGCM:ECDHE+CHACHA20";
// A peer more than this remembers nothing: it bounds what odd configurations could pile up.
constexpr std::size_t kPeersMax = 256;

std::shared_ptr<SSL_CTX> make_context(const SSL_METHOD* method) {
  std::shared_ptr<SSL_CTX> context(SSL_CTX_new(method), SSL_CTX_free);
  FS_ASSERT(context != nullptr);
  auto* const c = context.get();
  FS_ASSERT(SSL_CTX_set_min_proto_version(c, TLS1_2_VERSION) == 1 && SSL_CTX_set_cipher_list(c, kCiphers) == 1);
  SSL_CTX_set_security_level(c, 2);
  SSL_CTX_set_options(
      c, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
  // An idle connection holds no buffers; a record that was taken in part is enough.
  SSL_CTX_set_mode(c, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  // One system call a record, not one for its five bytes of header and another for the rest.
  SSL_CTX_set_read_ahead(c, 1);
  return context;
}

Result<void> use_pair(SSL_CTX* context, const CertificateFiles& files, Certificate& certificate) {
  FS_TRY(read, read_certificate(files.certificate_file));
  FS_TRY(key, read_private_key(files.key_file));
  FS_CHECK(check_key_fits(read, key, files.key_file));
  certificate = std::move(read);
  ERR_clear_error();
  if (SSL_CTX_use_certificate(context, certificate.chain.front().get()) != 1 ||
      SSL_CTX_use_PrivateKey(context, key.get()) != 1)
    return fail(Code::invalid, fmt::format("'{}' cannot be used: {}", files.certificate_file, take_tls_reason()));
  for (std::size_t i = 1; i < certificate.chain.size(); ++i)
    if (SSL_CTX_add1_chain_cert(context, certificate.chain[i].get()) != 1)
      return fail(Code::invalid, fmt::format("'{}' cannot be used: {}", files.certificate_file, take_tls_reason()));
  if (!certificate.warning.empty())
    log::warn("certificate '{}' {}: whoever checks it refuses it", files.certificate_file, certificate.warning);
  return {};
}

Result<void> trust(SSL_CTX* context, const std::string& ca_file, bool name_them) {
  FS_TRY(authorities, read_authorities(ca_file));
  for (const auto& one : authorities) {
    // The same one twice is no mistake.
    X509_STORE_add_cert(SSL_CTX_get_cert_store(context), one.get());
    if (name_them) SSL_CTX_add_client_CA(context, one.get());
  }
  ERR_clear_error();
  return {};
}

std::string lower(std::string_view name) {
  std::string out(name);
  for (auto& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
  return out;
}

// RFC 7301's form: each name behind its length.
std::string protocol_list(const std::vector<std::string>& names) {
  std::string list;
  for (const auto& name : names) (list += static_cast<char>(name.size())) += name;
  return list;
}

bool is_address(const std::string& name) {
  auto* const address = a2i_IPADDRESS(name.c_str());
  const bool is = address != nullptr;
  ASN1_OCTET_STRING_free(address);
  ERR_clear_error();
  return is;
}

}  // namespace

Result<std::shared_ptr<const TlsServer>> TlsServer::load(const TlsServerSettings& settings) {
  auto made = std::make_shared<TlsServer>();
  made->settings_ = settings;
  if (settings.certificates.empty()) return fail(Code::invalid, "no certificate is given");
  for (const auto& files : settings.certificates) FS_CHECK(made->add(files));
  return made;
}

Result<void> TlsServer::add(const CertificateFiles& files) {
  auto context = make_context(TLS_server_method());
  auto* const c = context.get();
  Certificate certificate;
  FS_CHECK(use_pair(c, files, certificate));
  FS_CHECK(ask_for_clients(c));
  SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(c, 1);
  SSL_CTX_set_tlsext_servername_callback(c, choose_certificate);
  SSL_CTX_set_tlsext_servername_arg(c, this);
  SSL_CTX_set_alpn_select_cb(c, choose_protocol, this);
  // Who is listed first has the name.
  for (const auto& name : certificate.names) by_name_.emplace(name, c);
  contexts_.push_back(std::move(context));
  return {};
}

Result<void> TlsServer::ask_for_clients(SSL_CTX* context) const {
  if (settings_.client_certificates == ClientCertificates::off) return {};
  if (settings_.client_ca_file.empty())
    return fail(Code::invalid, "client certificates are asked for, and no authority is named that vouches for them");
  FS_CHECK(trust(context, settings_.client_ca_file, true));
  const bool required = settings_.client_certificates == ClientCertificates::require;
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER | (required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), nullptr);
  // Tickets carry the client's certificate, and OpenSSL wants to know whose they are.
  constexpr unsigned char id[] = "foreshadow";
  SSL_CTX_set_session_id_context(context, id, sizeof id - 1);
  return {};
}

std::unique_ptr<TlsStream> TlsServer::accept() const {
  auto* const ssl = SSL_new(contexts_.front().get());
  FS_ASSERT(ssl != nullptr);
  SSL_set_accept_state(ssl);
  return std::make_unique<TlsStream>(ssl, shared_from_this());
}

int TlsServer::choose_certificate(SSL* ssl, int*, void* self) {
  const auto& server = *static_cast<const TlsServer*>(self);
  const char* asked = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
  if (asked == nullptr) return SSL_TLSEXT_ERR_OK;
  const auto name = lower(asked);
  auto found = server.by_name_.find(name);
  // A wildcard stands for exactly one label (RFC 9525, section 6.3).
  if (const auto dot = name.find('.'); found == server.by_name_.end() && dot != std::string::npos && dot > 0)
    found = server.by_name_.find("*" + name.substr(dot));
  if (found != server.by_name_.end()) SSL_set_SSL_CTX(ssl, found->second);
  return SSL_TLSEXT_ERR_OK;
}

int TlsServer::choose_protocol(SSL*, const unsigned char** chosen, unsigned char* chosen_size,
                               const unsigned char* offered, unsigned offered_size, void* self) {
  for (const auto& ours : static_cast<const TlsServer*>(self)->settings_.alpn) {
    // OpenSSL has checked that the lengths add up.
    for (unsigned at = 0; at < offered_size; at += 1U + offered[at]) {
      if (std::string_view(reinterpret_cast<const char*>(offered + at + 1), offered[at]) != ours) continue;
      *chosen = offered + at + 1;
      *chosen_size = offered[at];
      return SSL_TLSEXT_ERR_OK;
    }
  }
  return SSL_TLSEXT_ERR_ALERT_FATAL;
}

Result<std::shared_ptr<TlsClient>> TlsClient::load(const TlsClientSettings& settings) {
  auto made = std::make_shared<TlsClient>();
  made->settings_ = settings;
  made->context_ = make_context(TLS_client_method());
  auto* const c = made->context_.get();
  if (settings.ca_file.empty())
    SSL_CTX_set_default_verify_paths(c);
  else
    FS_CHECK(trust(c, settings.ca_file, false));
  if (!settings.certificate.certificate_file.empty()) {
    Certificate certificate;
    FS_CHECK(use_pair(c, settings.certificate, certificate));
  }
  const auto list = protocol_list(settings.alpn);
  if (!list.empty())
    SSL_CTX_set_alpn_protos(c, reinterpret_cast<const unsigned char*>(list.data()), static_cast<unsigned>(list.size()));
  SSL_CTX_set_verify(c, settings.verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nullptr);
  SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(c, keep_session);
  ERR_clear_error();
  return made;
}

std::unique_ptr<TlsStream> TlsClient::connect(const std::string& server_name, const std::string& peer,
                                              const std::vector<std::string>& alpn, NameCheck check) {
  // Without a name to check, any certificate that the authority ever gave to anybody would do.
  if (server_name.empty() || server_name.size() > 253) return nullptr;
  auto* const ssl = SSL_new(context_.get());
  FS_ASSERT(ssl != nullptr);
  SSL_set_connect_state(ssl);
  if (slots_.size() > kPeersMax) slots_.clear();
  auto& slot = slots_[peer + ' ' + server_name];
  if (!slot) slot = std::make_shared<Slot>();
  auto stream = std::make_unique<TlsStream>(ssl, slot);
  SSL_set_app_data(ssl, slot.get());
  const bool address = is_address(server_name);
  if (!address) SSL_set_tlsext_host_name(ssl, server_name.c_str());
  if (const auto list = protocol_list(alpn); !list.empty())
    SSL_set_alpn_protos(ssl, reinterpret_cast<const unsigned char*>(list.data()), static_cast<unsigned>(list.size()));
  if (settings_.verify && check == NameCheck::on) {
    auto* const rules = SSL_get0_param(ssl);
    X509_VERIFY_PARAM_set_hostflags(rules, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if ((address ? X509_VERIFY_PARAM_set1_ip_asc(rules, server_name.c_str())
                 : X509_VERIFY_PARAM_set1_host(rules, server_name.data(), server_name.size())) != 1)
      return nullptr;
  }
  if (slot->session && SSL_SESSION_is_resumable(slot->session.get()) == 1) SSL_set_session(ssl, slot->session.get());
  return stream;
}

int TlsClient::keep_session(SSL* ssl, SSL_SESSION* session) {
  static_cast<Slot*>(SSL_get_app_data(ssl))->session = {session, SSL_SESSION_free};
  return 1;  // the reference is ours now
}

}  // namespace foreshadow::io
