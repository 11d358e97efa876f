#include "kinds/postgres/gateway/scram.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include <charconv>

#include "base/assert.hpp"

namespace foreshadow::kinds::pg_gateway {
namespace {

// A hostile server could ask for hours of hashing; PostgreSQL's default is 4096 and nobody runs millions.
constexpr int iterations_max = 1'000'000;

const unsigned char* bytes(std::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); }

std::string digest(const EVP_MD* kind, std::string_view text) {
  unsigned char out[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  FS_ASSERT(EVP_Digest(text.data(), text.size(), out, &size, kind, nullptr) == 1);
  return {reinterpret_cast<char*>(out), size};
}

std::string hmac(std::string_view key, std::string_view text) {
  unsigned char out[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  FS_ASSERT(HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), bytes(text), text.size(), out, &size) !=
            nullptr);
  return {reinterpret_cast<char*>(out), size};
}

std::string hex(std::string_view raw) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string out;
  for (char c : raw) {
    out += digits[static_cast<unsigned char>(c) >> 4];
    out += digits[static_cast<unsigned char>(c) & 15];
  }
  return out;
}

Result<std::string> unbase64(std::string_view text) {
  if (text.empty() || text.size() % 4 != 0 || text.size() > 4096) return fail(Code::refused, "SCRAM: malformed base64");
  std::string out(text.size() / 4 * 3, '\0');
  const int size =
      EVP_DecodeBlock(reinterpret_cast<unsigned char*>(out.data()), bytes(text), static_cast<int>(text.size()));
  if (size < 0) return fail(Code::refused, "SCRAM: malformed base64");
  std::size_t padding = 0;
  while (padding < 2 && text[text.size() - 1 - padding] == '=') ++padding;
  out.resize(static_cast<std::size_t>(size) - padding);
  return out;
}

// Takes "<name>=value" off the front of a comma-separated list.
Result<std::string_view> attribute(std::string_view& list, char name) {
  if (list.size() < 2 || list[0] != name || list[1] != '=')
    return fail(Code::refused, std::string("SCRAM: attribute ") + name + " is missing");
  const auto end = list.find(',');
  const auto value = list.substr(2, end == std::string_view::npos ? end : end - 2);
  list = end == std::string_view::npos ? std::string_view{} : list.substr(end + 1);
  return value;
}

}  // namespace

std::string random_bytes(std::size_t count) {
  std::string out(count, '\0');
  FS_ASSERT(RAND_bytes(reinterpret_cast<unsigned char*>(out.data()), static_cast<int>(count)) == 1);
  return out;
}

std::string base64(std::string_view raw) {
  std::string out((raw.size() + 2) / 3 * 4, '\0');
  EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()), bytes(raw), static_cast<int>(raw.size()));
  return out;
}

ScramClient::ScramClient(std::string password, std::string nonce)
    : password_(std::move(password)), nonce_(std::move(nonce)) {}

// The server takes the user from the startup packet and ignores "n=".
std::string ScramClient::first() const { return "n,,n=,r=" + nonce_; }

Result<std::string> ScramClient::final(std::string_view server_first) {
  std::string_view rest = server_first;
  FS_TRY(nonce, attribute(rest, 'r'));
  FS_TRY(salt_text, attribute(rest, 's'));
  FS_TRY(count_text, attribute(rest, 'i'));
  if (nonce.size() <= nonce_.size() || nonce.substr(0, nonce_.size()) != nonce_)
    return fail(Code::refused, "SCRAM: the server's nonce does not continue ours");
  FS_TRY(salt, unbase64(salt_text));
  int iterations = 0;
  const auto parsed = std::from_chars(count_text.data(), count_text.data() + count_text.size(), iterations);
  if (parsed.ec != std::errc{} || parsed.ptr != count_text.data() + count_text.size() || iterations < 1 ||
      iterations > iterations_max)
    return fail(Code::refused, "SCRAM: unreasonable iteration count");

  std::string salted(32, '\0');
  FS_ASSERT(PKCS5_PBKDF2_HMAC(password_.data(), static_cast<int>(password_.size()), bytes(salt),
                              static_cast<int>(salt.size()), iterations, EVP_sha256(), 32,
                              reinterpret_cast<unsigned char*>(salted.data())) == 1);
  const std::string without_proof = "c=biws,r=" + std::string(nonce);
  const std::string signed_text = "n=,r=" + nonce_ + "," + std::string(server_first) + "," + without_proof;
  const std::string client_key = hmac(salted, "Client Key");
  std::string proof = hmac(digest(EVP_sha256(), client_key), signed_text);
  for (std::size_t i = 0; i < proof.size(); ++i) proof[i] = static_cast<char>(proof[i] ^ client_key[i]);
  server_signature_ = hmac(hmac(salted, "Server Key"), signed_text);
  OPENSSL_cleanse(salted.data(), salted.size());
  return without_proof + ",p=" + base64(proof);
}

Result<void> ScramClient::verify(std::string_view server_final) const {
  std::string_view rest = server_final;
  FS_TRY(text, attribute(rest, 'v'));
  FS_TRY(signature, unbase64(text));
  if (server_signature_.empty() || signature.size() != server_signature_.size() ||
      CRYPTO_memcmp(signature.data(), server_signature_.data(), signature.size()) != 0)
    return fail(Code::refused, "SCRAM: the server does not know the password");
  return {};
}

std::string md5_answer(std::string_view user, std::string_view password, std::string_view salt) {
  const std::string inner = hex(digest(EVP_md5(), std::string(password) + std::string(user)));
  return "md5" + hex(digest(EVP_md5(), inner + std::string(salt)));
}

}  // namespace foreshadow::kinds::pg_gateway
