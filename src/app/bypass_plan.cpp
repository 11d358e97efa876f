#include "app/bypass_plan.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>

namespace foreshadow::app {
namespace {

bool is_v4(const std::string& host) {
  in_addr bytes{};
  return inet_pton(AF_INET, host.c_str(), &bytes) == 1;
}
bool is_loopback(const std::string& host) { return host.starts_with("127.") || host == "::1" || host == "localhost"; }

// Connections that are there go on where they are: to a host that had no rules for connections until now all of them
// are new, and without this the middle of one would be led to an instance that never saw its beginning.
constexpr const char* kBeginning = "tcp flags & (fin|syn|rst|ack) == syn";

// Names of tables in nftables are words.
std::string table_of(const std::string& resource) {
  std::string name = "foreshadow_bypass_" + resource;
  std::replace_if(name.begin(), name.end(), [](char c) { return c == '-' || c == '.'; }, '_');
  return name;
}

std::string target_of(const Endpoint& current) {
  return fmt::format("{}:{}", current.host == "localhost" ? "127.0.0.1" : current.host, current.port);
}

}  // namespace

BypassPlan plan_bypass(const std::string& resource, const Endpoint& current, const config::ResourceSettings* settings) {
  BypassPlan plan;
  if (settings == nullptr) return plan;
  const auto& listener = settings->listener;
  if (!listener.tls.certificates.empty())
    plan.changes.push_back("TLS ends at the gateways; the instance must speak it itself, or clients must come without");
  if (listener.proxy_protocol)
    plan.changes.push_back(
        "what stands in front sends PROXY protocol headers; the instance must understand them, or it must stop");
  if (settings->resource.kind == "http")
    plan.changes.push_back(
        "the instance sees clients' own addresses, and no Forwarded or request id fields of a gateway");
  // A Unix socket, a name, or IPv6: said in words, since a wrong rule in a packet filter is worse than none.
  if (!is_v4(current.host) && current.host != "localhost") return plan;
  std::vector<Endpoint> listens;
  for (const auto& gateway : settings->resource.gateways)
    if (const auto at = settings->listen_at(gateway); std::find(listens.begin(), listens.end(), at) == listens.end())
      listens.push_back(at);
  if (listens.empty() ||
      !std::all_of(listens.begin(), listens.end(), [](const Endpoint& at) { return is_v4(at.host); }))
    return plan;

  const auto table = table_of(resource);
  plan.redirect.push_back(fmt::format("nft add table ip {}", table));
  for (const auto* hook : {"prerouting", "output"})
    plan.redirect.push_back(
        fmt::format("nft 'add chain ip {} {} {{ type nat hook {} priority -100; }}'", table, hook, hook));
  for (const auto& at : listens)
    for (const auto* hook : {"prerouting", "output"}) {
      const bool any = at.host == "0.0.0.0";
      plan.redirect.push_back(
          fmt::format("nft 'add rule ip {} {} {} {} tcp dport {} dnat to {}'", table, hook, kBeginning,
                      any ? "fib daddr type local" : fmt::format("ip daddr {}", at.host), at.port, target_of(current)));
    }
  const bool public_listen =
      std::any_of(listens.begin(), listens.end(), [](const Endpoint& at) { return !is_loopback(at.host); });
  if (is_loopback(current.host)) {
    // Packets from outside are only let through to a loopback address when told so.
    if (public_listen) plan.redirect.push_back("sysctl -w net.ipv4.conf.all.route_localnet=1");
  } else {
    plan.redirect.push_back("sysctl -w net.ipv4.ip_forward=1");
    plan.redirect.push_back(
        fmt::format("nft 'add chain ip {} postrouting {{ type nat hook postrouting priority 100; }}'", table));
    plan.redirect.push_back(fmt::format("nft 'add rule ip {} postrouting {} ip daddr {} tcp dport {} masquerade'",
                                        table, kBeginning, current.host, current.port));
  }
  // The kernel translates what it began to translate for as long as some rule asks for its knowledge of connections, so
  // one that does nothing takes the place of the others, in the same transaction.
  plan.undo.push_back(fmt::format(
      "nft 'flush chain ip {0} prerouting; flush chain ip {0} output; add rule ip {0} output ct state new'", table));
  plan.cleanup.push_back(fmt::format("nft delete table ip {}", table));
  return plan;
}

}  // namespace foreshadow::app
