// "host:port" as people write it: "127.0.0.1:8080", "[::1]:8080", "db.internal:5432", and for PostgreSQL the directory
// of a Unix socket, "/run/postgresql:5432".
#pragma once

#include <string_view>

#include "base/result.hpp"
#include "domain/resource.hpp"

namespace foreshadow::config {

// The error completes "address: ".
Result<Endpoint> parse_endpoint(std::string_view text);
// The same for an address to bind: a number, never a name, so that it means one interface on every start.
Result<Endpoint> parse_listen(std::string_view text);
// Both cannot be bound at once: the same port, and the same address or one that stands for all.
bool collide(const Endpoint& a, const Endpoint& b);

}  // namespace foreshadow::config
