#include "kinds/tcp/session/connect.hpp"

#include <fmt/format.h>
#include <poll.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/socket_base.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <vector>

namespace foreshadow::kinds::tcp {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

namespace {

constexpr auto kValues = asio::as_tuple(asio::use_awaitable);

asio::awaitable<Result<std::vector<tcp::endpoint>>> addresses_of(asio::any_io_executor executor, Endpoint endpoint) {
  std::vector<tcp::endpoint> addresses;
  error_code error;
  if (const auto address = asio::ip::make_address(endpoint.host, error); !error) {
    addresses.emplace_back(address, endpoint.port);
    co_return addresses;
  }
  tcp::resolver resolver(executor);
  const auto [failed, found] = co_await resolver.async_resolve(endpoint.host, std::to_string(endpoint.port), kValues);
  if (failed) co_return fail(Code::unreachable, fmt::format("{}: {}", endpoint.host, failed.message()));
  for (const auto& entry : found) addresses.push_back(entry.endpoint());
  co_return addresses;
}

}  // namespace

asio::awaitable<Result<tcp::socket>> connect(asio::any_io_executor executor, Endpoint endpoint, Millis timeout) {
  using asio::experimental::awaitable_operators::operator||;
  FS_CO_TRY(addresses, co_await addresses_of(executor, endpoint));
  asio::steady_timer timer(executor, timeout);
  error_code error = asio::error::host_not_found;
  for (const auto& address : addresses) {
    tcp::socket socket(executor);
    const auto first = co_await (socket.async_connect(address, kValues) || timer.async_wait(kValues));
    if (first.index() == 1) co_return fail(Code::timeout, fmt::format("{}: no answer to a connect", endpoint.text()));
    error = std::get<0>(std::get<0>(first));
    if (error) continue;
    tune(socket);
    co_return socket;
  }
  const bool ours = error == asio::error::no_descriptors || error == boost::system::errc::address_not_available ||
                    error == asio::error::no_buffer_space;
  co_return fail(ours ? Code::io : Code::unreachable, fmt::format("{}: {}", endpoint.text(), error.message()));
}

bool is_gone(tcp::socket& client) {
  pollfd fd{client.native_handle(), 0, 0};
  return ::poll(&fd, 1, 0) == 1 && (fd.revents & (POLLERR | POLLHUP)) != 0;
}

void refuse(tcp::socket& client) {
  error_code ignored;
  client.set_option(asio::socket_base::linger(true, 0), ignored);
  client.close(ignored);
}

void tune(tcp::socket& socket) {
  error_code ignored;
  socket.set_option(tcp::no_delay(true), ignored);
  socket.set_option(asio::socket_base::keep_alive(true), ignored);
}

}  // namespace foreshadow::kinds::tcp
