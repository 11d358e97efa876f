// Passwords for the connections that the gateway opens by itself (to the shadow, and after a handover), from a file in
// libpq's .pgpass format: host:port:database:user:password, '*' matches anything, '\' escapes ':' and '\'.
// Read anew for each login, so that a changed password needs no restart. Never logged, never part of an error's text.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "domain/resource.hpp"

namespace foreshadow::kinds::pg_gateway {

// The first line that matches; nothing if none does. Pure.
std::optional<std::string> find_password(std::string_view file, const Endpoint& endpoint, std::string_view database,
                                         std::string_view user);

class Credentials {
 public:
  // An empty path: there are no passwords.
  explicit Credentials(std::string path) : path_(std::move(path)) {}
  // Errors: refused (no file configured, no line that matches, others may read the file), io. Names no secret.
  Result<std::string> password(const Endpoint& endpoint, std::string_view database, std::string_view user) const;

 private:
  std::string path_;
};

}  // namespace foreshadow::kinds::pg_gateway
