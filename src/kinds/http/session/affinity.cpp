#include "kinds/http/session/affinity.hpp"

#include <fmt/format.h>
#include <sys/random.h>

#include <algorithm>
#include <array>

#include "base/assert.hpp"
#include "kinds/http/wire/cookie.hpp"
#include "kinds/http/wire/text.hpp"
#include "proxy/sticky.hpp"

namespace foreshadow::kinds::http {
namespace {

constexpr std::size_t kIdDigits = 32;

std::string draw_id() {
  std::array<std::uint64_t, 2> bits{};
  FS_ASSERT(getrandom(bits.data(), sizeof bits, 0) == sizeof bits);
  return fmt::format("{:016x}{:016x}", bits[0], bits[1]);
}

bool is_id(std::string_view text) {
  return text.size() == kIdDigits &&
         std::ranges::all_of(text, [](char c) { return is_digit(c) || (c >= 'a' && c <= 'f'); });
}

}  // namespace

Affinity::Affinity(const boost::asio::ip::tcp::endpoint& client) {
  std::uint64_t address = 0;
  if (client.address().is_v4()) {
    address = client.address().to_v4().to_uint();
  } else {
    for (const auto byte : client.address().to_v6().to_bytes()) address = proxy::mix(address ^ byte);
  }
  // 0 would mean: draw afresh each time.
  address_ = proxy::mix(address) | 1;
  connection_ = proxy::mix(client.port() ^ (address << 16)) | 1;
}

Affinity::Key Affinity::key(const Sticky& sticky, const RequestHead& head) {
  switch (sticky.by) {
    case Sticky::By::connection:
      break;
    case Sticky::By::request:
      return {};
    case Sticky::By::address:
      return {address_};
    case Sticky::By::cookie:
      if (const auto value = find_cookie(head.fields, sticky.name); !value.empty()) return {hash_of(value)};
      break;
    case Sticky::By::header:
      if (const auto* field = find_field(head.fields, sticky.name); field && !field->value.empty())
        return {hash_of(field->value)};
      break;
    case Sticky::By::own_cookie: {
      const auto value = find_cookie(head.fields, kOwnCookie);
      if (is_id(value)) return {hash_of(value)};
      // The side that it gets now is the side that the cookie will keep it on.
      if (own_id_.empty()) own_id_ = draw_id();
      return {hash_of(own_id_), true};
    }
  }
  return {connection_};
}

std::string Affinity::set_cookie(bool secure) const {
  return fmt::format("{}={}; Path=/; HttpOnly; SameSite=Lax{}", kOwnCookie, own_id_, secure ? "; Secure" : "");
}

}  // namespace foreshadow::kinds::http
