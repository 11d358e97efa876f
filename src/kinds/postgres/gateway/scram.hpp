// The client's half of the password exchanges that PostgreSQL asks for: SCRAM-SHA-256 (RFC 5802, RFC 7677) and md5.
// Pure but for the nonce, which the caller brings. No channel binding: who a server is, its certificate says
// (upstream_tls: verify_full). Passwords are used as they are, without SASLprep, as libpq does for text it cannot
// normalise; ASCII is the same either way.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace foreshadow::kinds::pg_gateway {

class ScramClient {
 public:
  // `nonce`: printable ASCII without a comma, fresh and unguessable.
  ScramClient(std::string password, std::string nonce);
  // Messages of the exchange in their order. An error (refused) means that the server is not what it says, or is
  // broken.
  std::string first() const;
  Result<std::string> final(std::string_view server_first);
  Result<void> verify(std::string_view server_final) const;

 private:
  std::string password_;
  std::string nonce_;
  std::string server_signature_;
};

// "md5" + hex(md5(hex(md5(password + user)) + salt))
std::string md5_answer(std::string_view user, std::string_view password, std::string_view salt);

std::string random_bytes(std::size_t count);
std::string base64(std::string_view bytes);

}  // namespace foreshadow::kinds::pg_gateway
