// The PROXY protocol, version 2 (haproxy's proxy-protocol.txt, section 2.2), as a receiver: who the client of the load
// balancer before us is. Strict: whatever the document does not define is refused, because whoever can get a header
// past us chooses the address that others believe. Pure.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/result.hpp"

namespace foreshadow::proxy {

struct ProxyHeader {
  struct Address {
    bool v6 = false;
    std::array<std::uint8_t, 16> bytes{};  // the first four of them for IPv4
    std::uint16_t port = 0;
  };
  // Nothing: the balancer speaks for itself (a health check, LOCAL), or knows no address (UNSPEC).
  std::optional<Address> client;
};

// Signature, version and command, family, and the length of what follows.
inline constexpr std::size_t kProxyPrologue = 16;

// The length of the rest, from the first sixteen bytes. Errors: invalid, naming what is wrong.
Result<std::size_t> proxy_rest(std::string_view prologue);
// Requires: `rest` is as long as the prologue says. TLVs are walked and skipped.
Result<ProxyHeader> parse_proxy_header(std::string_view prologue, std::string_view rest);

}  // namespace foreshadow::proxy
