#include "kinds/http/session/client_quota.hpp"

#include <fmt/format.h>

#include <boost/asio/ip/address.hpp>
#include <optional>

namespace foreshadow::kinds::http {
namespace {

namespace ip = boost::asio::ip;

// Whoever has an IPv6 address has 2^64 of them: the network is the client. No client comes from ff00::/8 (multicast),
// so that is where IPv4's are told apart from the others.
std::optional<std::uint64_t> key_of(std::string_view text) {
  boost::system::error_code error;
  const auto address = ip::make_address(std::string(text), error);
  if (error) return std::nullopt;
  const auto v4 = [](const ip::address_v4& a) { return 0xff00'0000'0000'0000U | a.to_uint(); };
  if (address.is_v4()) return v4(address.to_v4());
  if (address.to_v6().is_v4_mapped()) return v4(ip::make_address_v4(ip::v4_mapped, address.to_v6()));
  std::uint64_t network = 0;
  const auto bytes = address.to_v6().to_bytes();
  for (std::size_t i = 0; i < 8; ++i) network = network << 8 | bytes[i];
  return network;
}

}  // namespace

ClientQuota::Place& ClientQuota::Place::operator=(Place&& other) noexcept {
  if (this == &other) return *this;
  leave();
  quota_ = std::move(other.quota_);
  key_ = other.key_;
  return *this;
}

void ClientQuota::Place::leave() {
  const auto quota = std::move(quota_);
  if (!quota) return;
  const std::lock_guard lock(quota->mutex_);
  const auto found = quota->connections_.find(key_);
  if (--found->second == 0) quota->connections_.erase(found);
}

bool ClientQuota::take(std::string_view address, Place& place) {
  if (max_ == 0) return true;
  const auto key = key_of(address);
  if (!key) return true;
  place = {};
  const std::lock_guard lock(mutex_);
  auto& connections = connections_[*key];
  if (connections >= max_) {
    complaints_.tell(fmt::format("{} has {} connections already; another one is closed", address, connections));
    return false;
  }
  ++connections;
  place.quota_ = shared_from_this();
  place.key_ = *key;
  return true;
}

}  // namespace foreshadow::kinds::http
