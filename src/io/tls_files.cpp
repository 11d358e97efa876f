#include "io/tls_files.hpp"

#include <fmt/format.h>
#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <algorithm>

#include "io/files.hpp"

namespace foreshadow::io {
namespace {

constexpr std::size_t kFileBytesMax = 4 << 20;  // the bundle of all public authorities has a quarter of a MiB

using BioPtr = std::unique_ptr<BIO, decltype(&BIO_free)>;
BioPtr reader(const std::string& text) {
  return {BIO_new_mem_buf(text.data(), static_cast<int>(text.size())), BIO_free};
}

Result<std::string> read_pem(const std::string& file) {
  auto text = read_file(file, kFileBytesMax);
  if (!text) return fail(text.error().code, fmt::format("'{}' cannot be read: {}", file, text.error().what));
  return text;
}

// All certificates of the text, in order; whatever stands between them is skipped, as every other reader does.
Result<std::vector<std::shared_ptr<X509>>> read_all(const std::string& file) {
  FS_TRY(text, read_pem(file));
  const auto bio = reader(text);
  std::vector<std::shared_ptr<X509>> all;
  ERR_clear_error();
  while (X509* one = PEM_read_bio_X509_AUX(bio.get(), nullptr, nullptr, nullptr)) all.emplace_back(one, X509_free);
  const auto last = ERR_peek_last_error();
  const bool at_end = ERR_GET_LIB(last) == ERR_LIB_PEM && ERR_GET_REASON(last) == PEM_R_NO_START_LINE;
  if (!at_end) return fail(Code::invalid, fmt::format("'{}' is damaged: {}", file, take_tls_reason()));
  ERR_clear_error();
  if (all.empty())
    return fail(Code::invalid,
                fmt::format("'{}' holds no certificate; it must be PEM, with -----BEGIN CERTIFICATE-----", file));
  return all;
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (auto& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
  return out;
}

std::vector<std::string> names_of(X509* leaf) {
  std::vector<std::string> names;
  const auto add = [&](const ASN1_STRING* text) {
    const std::string_view name(reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
                                static_cast<std::size_t>(ASN1_STRING_length(text)));
    // A NUL inside is the old way to have a certificate read as two names.
    if (!name.empty() && name.find('\0') == std::string_view::npos) names.push_back(lower(name));
  };
  auto* all = static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(leaf, NID_subject_alt_name, nullptr, nullptr));
  for (int i = 0; i < sk_GENERAL_NAME_num(all); ++i)
    if (const auto* name = sk_GENERAL_NAME_value(all, i); name->type == GEN_DNS) add(name->d.dNSName);
  const bool has_alternatives = all != nullptr;
  GENERAL_NAMES_free(all);
  // RFC 9525, section 6.3: the common name counts only where there are no alternative names at all.
  if (const auto* subject = X509_get_subject_name(leaf); !has_alternatives)
    if (const int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1); at >= 0)
      add(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
  return names;
}

std::string time_text(const ASN1_TIME* at) {
  const BioPtr bio(BIO_new(BIO_s_mem()), BIO_free);
  ASN1_TIME_print(bio.get(), at);
  char* text = nullptr;
  const auto size = BIO_get_mem_data(bio.get(), &text);
  return std::string(text, static_cast<std::size_t>(size));
}

std::string validity_warning(X509* leaf) {
  if (X509_cmp_current_time(X509_get0_notAfter(leaf)) < 0) return "expired on " + time_text(X509_get0_notAfter(leaf));
  if (X509_cmp_current_time(X509_get0_notBefore(leaf)) > 0)
    return "is not valid before " + time_text(X509_get0_notBefore(leaf));
  return {};
}

// A passphrase would have to be asked of somebody, and at night nobody is there.
int no_passphrase(char*, int, int, void* asked) {
  *static_cast<bool*>(asked) = true;
  return -1;
}

}  // namespace

std::string take_tls_reason() {
  const auto code = ERR_peek_last_error();
  const char* reason = ERR_reason_error_string(code);
  std::string text = reason != nullptr ? reason : code != 0 ? fmt::format("error {:x}", code) : "no reason is known";
  ERR_clear_error();
  return text;
}

Result<Certificate> read_certificate(const std::string& file) {
  FS_TRY(chain, read_all(file));
  Certificate certificate{std::move(chain), {}, {}};
  certificate.names = names_of(certificate.chain.front().get());
  certificate.warning = validity_warning(certificate.chain.front().get());
  return certificate;
}

Result<std::shared_ptr<EVP_PKEY>> read_private_key(const std::string& file) {
  FS_TRY(text, read_pem(file));
  bool asked = false;
  ERR_clear_error();
  const auto bio = reader(text);
  std::shared_ptr<EVP_PKEY> key(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, &asked), EVP_PKEY_free);
  // OpenSSL's own word for a file without one is "unsupported".
  const bool none = text.find("PRIVATE KEY-----") == std::string::npos;
  OPENSSL_cleanse(text.data(), text.size());
  if (key) return key;
  const auto reason = take_tls_reason();
  if (asked)
    return fail(
        Code::invalid,
        fmt::format("'{}' is locked with a passphrase; write the key without one, readable only by the gateway", file));
  if (none)
    return fail(Code::invalid,
                fmt::format("'{}' holds no private key; it must be PEM, with -----BEGIN PRIVATE KEY-----", file));
  return fail(Code::invalid, fmt::format("'{}' is damaged: {}", file, reason));
}

Result<std::vector<std::shared_ptr<X509>>> read_authorities(const std::string& file) {
  if (file.empty()) return std::vector<std::shared_ptr<X509>>{};
  return read_all(file);
}

Result<void> check_key_fits(const Certificate& certificate, const std::shared_ptr<EVP_PKEY>& key,
                            const std::string& key_file) {
  const bool fits = X509_check_private_key(certificate.chain.front().get(), key.get()) == 1;
  ERR_clear_error();
  if (fits) return {};
  return fail(Code::invalid,
              fmt::format("'{}' is not the key of this certificate; name the pair that was made together", key_file));
}

}  // namespace foreshadow::io
