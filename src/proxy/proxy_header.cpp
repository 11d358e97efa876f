#include "proxy/proxy_header.hpp"

#include <fmt/format.h>

#include <cstring>

#include "base/assert.hpp"

namespace foreshadow::proxy {
namespace {

constexpr std::string_view kSignature("\x0D\x0A\x0D\x0A\x00\x0D\x0A\x51\x55\x49\x54\x0A", 12);
constexpr std::uint8_t kLocal = 0x20, kProxy = 0x21;
constexpr std::uint8_t kUnspec = 0x00, kTcp4 = 0x11, kTcp6 = 0x21;
constexpr std::size_t kAddresses4 = 12, kAddresses6 = 36;
constexpr std::size_t kTlvHead = 3;

std::uint8_t byte(std::string_view bytes, std::size_t at) { return static_cast<std::uint8_t>(bytes[at]); }
std::uint16_t big_endian(std::string_view bytes, std::size_t at) {
  return static_cast<std::uint16_t>(byte(bytes, at) << 8 | byte(bytes, at + 1));
}

// Section 2.2.
Result<void> check_tlvs(std::string_view tlvs) {
  while (!tlvs.empty()) {
    if (tlvs.size() < kTlvHead) return fail(Code::invalid, "an extension is cut off");
    const std::size_t length = big_endian(tlvs, 1);
    if (length > tlvs.size() - kTlvHead) return fail(Code::invalid, "an extension is longer than the header");
    tlvs.remove_prefix(kTlvHead + length);
  }
  return {};
}

}  // namespace

Result<std::size_t> proxy_rest(std::string_view prologue) {
  FS_ASSERT(prologue.size() == kProxyPrologue);
  if (!prologue.starts_with(kSignature))
    return fail(Code::invalid, "the connection does not begin with a PROXY v2 header");
  const auto command = byte(prologue, 12);
  if (command >> 4 != 2) return fail(Code::invalid, fmt::format("version {} is not known", command >> 4));
  if (command != kLocal && command != kProxy)
    return fail(Code::invalid, fmt::format("command {} is not known", command & 15));
  const auto family = byte(prologue, 13);
  const std::size_t length = big_endian(prologue, 14);
  // LOCAL: the receiver discards the block, family included.
  if (command == kLocal || family == kUnspec) return length;
  if (family != kTcp4 && family != kTcp6)
    return fail(Code::invalid, fmt::format("family and transport 0x{:02x} are not TCP over IPv4 or IPv6", family));
  if (length < (family == kTcp4 ? kAddresses4 : kAddresses6))
    return fail(Code::invalid, "it is too short for its addresses");
  return length;
}

Result<ProxyHeader> parse_proxy_header(std::string_view prologue, std::string_view rest) {
  FS_TRY(length, proxy_rest(prologue));
  FS_ASSERT(length == rest.size());
  const auto family = byte(prologue, 13);
  if (byte(prologue, 12) == kLocal || family == kUnspec) return ProxyHeader{};
  const bool v6 = family == kTcp6;
  FS_CHECK(check_tlvs(rest.substr(v6 ? kAddresses6 : kAddresses4)));
  ProxyHeader::Address client{.v6 = v6, .bytes = {}, .port = big_endian(rest, v6 ? 32 : 8)};
  std::memcpy(client.bytes.data(), rest.data(), v6 ? 16 : 4);
  return ProxyHeader{client};
}

}  // namespace foreshadow::proxy
