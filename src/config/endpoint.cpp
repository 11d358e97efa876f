#include "config/endpoint.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "config/diagnostics.hpp"

namespace foreshadow::config {
namespace {

bool is_address(const std::string& host) {
  in6_addr bytes{};
  return inet_pton(AF_INET, host.c_str(), &bytes) == 1 || inet_pton(AF_INET6, host.c_str(), &bytes) == 1;
}
bool stands_for_all(const std::string& host) { return host == "0.0.0.0" || host == "::"; }

}  // namespace

Result<Endpoint> parse_endpoint(std::string_view text) {
  const auto colon = text.rfind(':');
  unsigned port = 0;
  const auto digits = colon == std::string_view::npos ? std::string_view() : text.substr(colon + 1);
  const auto [rest, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (digits.empty() || error != std::errc{} || rest != digits.data() + digits.size() || port == 0 || port > 65535)
    return fail(Code::invalid,
                fmt::format("{} has no port; write it as host:port, with a port from 1 to 65535", shown(text)));
  auto host = text.substr(0, colon);
  const bool bracketed = host.starts_with('[') && host.ends_with(']');
  if (bracketed) host = host.substr(1, host.size() - 2);
  const bool odd = std::any_of(host.begin(), host.end(), [](char c) {
    return static_cast<unsigned char>(c) <= ' ' || c == '@' || c == '?' || c == '#';
  });
  if (host.empty() || odd || (host.front() != '/' && host.find('/') != std::string_view::npos))
    return fail(Code::invalid, fmt::format("{} has no host; write it as host:port, without a scheme", shown(text)));
  if (!bracketed && host.front() != '/' && host.find(':') != std::string_view::npos)
    return fail(Code::invalid,
                fmt::format("{} is ambiguous; write an IPv6 address in brackets, [::1]:8080", shown(text)));
  return Endpoint{std::string(host), static_cast<std::uint16_t>(port)};
}

Result<Endpoint> parse_listen(std::string_view text) {
  FS_TRY(endpoint, parse_endpoint(text));
  if (!is_address(endpoint.host))
    return fail(Code::invalid,
                fmt::format("{} is not an address to bind; write a number such as 127.0.0.1:8080 or 0.0.0.0:8080",
                            shown(text)));
  return endpoint;
}

bool collide(const Endpoint& a, const Endpoint& b) {
  return a.port == b.port && (a.host == b.host || stands_for_all(a.host) || stands_for_all(b.host));
}

}  // namespace foreshadow::config
