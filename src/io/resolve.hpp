// Host names to addresses, with a deadline that getaddrinfo(3) does not have.
#pragma once

#include <sys/socket.h>

#include <string>
#include <vector>

#include "base/result.hpp"
#include "io/wait.hpp"

namespace foreshadow::io {

struct Address {
  sockaddr_storage bytes{};
  socklen_t length = 0;
};

// In the order to be tried. A literal address is never asked of anybody. Errors: unreachable (no such host), timeout,
// cancelled.
Result<std::vector<Address>> resolve(const std::string& host, unsigned short port, const Deadline& deadline,
                                     const StopEvent& stop);

}  // namespace foreshadow::io
