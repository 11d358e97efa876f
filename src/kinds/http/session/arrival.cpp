#include "kinds/http/session/arrival.hpp"

#include <fmt/format.h>

#include <array>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/socket_base.hpp>

#include "kinds/http/session/date.hpp"
#include "kinds/http/wire/rewrite.hpp"
#include "proxy/proxy_header.hpp"

namespace foreshadow::kinds::http {

namespace asio = boost::asio;

namespace {
constexpr Millis kLinger{1000};
constexpr std::size_t kLingerBytesMax = 256 << 10;

Arrival arrival_of(const asio::ip::address& address, std::uint16_t port) {
  return {address.to_string(), Affinity({address, port})};
}

asio::ip::address address_of(const proxy::ProxyHeader::Address& told) {
  if (told.v6) return asio::ip::address_v6(told.bytes);
  asio::ip::address_v4::bytes_type bytes;
  std::copy_n(told.bytes.begin(), bytes.size(), bytes.begin());
  return asio::ip::address_v4(bytes);
}

awaitable<bool> read_proxy_header(Core& core, Conn& conn, Arrival& arrival) {
  std::array<char, proxy::kProxyPrologue> prologue;
  if (co_await conn.receive(prologue.data(), prologue.size())) co_return false;
  const std::string_view begun(prologue.data(), prologue.size());
  const auto length = proxy::proxy_rest(begun);
  if (!length) {
    core.complaints.tell(fmt::format("{} is refused: {}", arrival.address, length.error().what));
    co_return false;
  }
  if (*length > core.settings.header_bytes_max) {
    core.complaints.tell(fmt::format("{} is refused: a PROXY header of {} bytes is more than header_bytes_max",
                                     arrival.address, *length));
    co_return false;
  }
  std::string rest(*length, '\0');
  if (!rest.empty() && co_await conn.receive(rest.data(), rest.size())) co_return false;
  const auto header = proxy::parse_proxy_header(begun, rest);
  if (!header) {
    core.complaints.tell(fmt::format("{} is refused: PROXY header: {}", arrival.address, header.error().what));
    co_return false;
  }
  if (header->client) arrival = arrival_of(address_of(*header->client), header->client->port);
  co_return true;
}

awaitable<bool> shake_hands(Core& core, Conn& conn, const Arrival& arrival) {
  const auto secured = co_await conn.secure(core.credentials->server()->accept());
  if (!secured.error) co_return true;
  // Who only looks whether the port is open, as balancers do, is no trouble.
  if (core.watchdog->stopping() || secured.error == asio::error::connection_reset) co_return false;
  core.complaints.tell(fmt::format("{}: no TLS: {}", arrival.address, secured.why));
  if (conn.timed_out()) co_return false;
  if (secured.was_http) {
    std::string answer;
    const auto date = date_now();
    append_own_answer(answer, {.status = 400,
                               .text = "this port speaks TLS, and the request came without; use https://",
                               .date = date,
                               .close = true});
    co_await conn.write(answer);
  }
  // OpenSSL has said why, in an alert, if there was anything to say.
  co_await linger(conn);
  co_return false;
}

}  // namespace

Arrival peer_of(Conn& conn) {
  error_code gone;
  const auto peer = conn.socket().remote_endpoint(gone);
  return gone ? Arrival{} : arrival_of(peer.address(), peer.port());
}

bool admit(Core& core, const Arrival& arrival, ClientQuota::Place& place) {
  return core.settings.proxy_protocol || core.quota->take(arrival.address, place);
}

awaitable<bool> arrive(Core& core, Conn& conn, Arrival& arrival, ClientQuota::Place& place) {
  conn.watch().arm(core.settings.header_timeout);
  conn.watch().set_idle(true);
  if (core.settings.proxy_protocol) {
    if (!co_await read_proxy_header(core, conn, arrival)) co_return false;
    if (!core.quota->take(arrival.address, place)) co_return false;
  }
  if (core.credentials->server() && !co_await shake_hands(core, conn, arrival)) co_return false;
  conn.watch().set_idle(false);
  arrival.secure = conn.is_secure();
  co_return true;
}

awaitable<void> linger(Conn& conn) {
  co_await conn.finish();
  error_code ignored;
  conn.socket().shutdown(asio::socket_base::shutdown_send, ignored);
  conn.watch().arm(kLinger);
  for (std::size_t seen = conn.unread().size(); seen < kLingerBytesMax; seen += conn.unread().size()) {
    conn.consume(conn.unread().size());
    if (co_await conn.fill()) co_return;
  }
}

}  // namespace foreshadow::kinds::http
