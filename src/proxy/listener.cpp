#include "proxy/listener.hpp"

#include <fmt/format.h>
#include <sys/socket.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/assert.hpp"
#include "base/log.hpp"
#include "io/wait.hpp"

namespace foreshadow::proxy {

namespace asio = boost::asio;
using asio::ip::tcp;

namespace {
constexpr int kBacklog = 4096;
// Out of descriptors or memory: others must end before another accept can succeed.
constexpr auto kAcceptRetry = std::chrono::milliseconds(50);
}  // namespace

Result<io::Fd> listen_at(const ListenerSettings& settings) {
  boost::system::error_code error;
  const auto& host = settings.listen.host;
  const auto address = asio::ip::make_address(host == "localhost" ? "127.0.0.1" : host, error);
  if (error) return fail(Code::invalid, fmt::format("{}: listen: '{}' is not an IP address", settings.resource, host));
  const tcp::endpoint at(address, settings.listen.port);
  io::Fd socket(::socket(at.protocol().family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  // A gateway that was killed must be back at once, although its last connections linger in TIME_WAIT.
  const int yes = 1;
  if (!socket || ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0 ||
      ::bind(socket.get(), at.data(), static_cast<socklen_t>(at.size())) != 0 || ::listen(socket.get(), kBacklog) != 0)
    return fail(Code::io,
                io::errno_text(fmt::format("{}: cannot listen at {}", settings.resource, settings.listen.text())));
  return socket;
}

Listener::Listener(asio::io_context& context, const ListenerSettings& settings, io::Fd socket, Crowd& crowd,
                   std::vector<Hall*> halls)
    : context_(context), settings_(settings), crowd_(crowd), halls_(std::move(halls)), acceptor_(context) {
  FS_ASSERT(!halls_.empty());
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  const bool known = ::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0;
  const bool six = known && address.ss_family == AF_INET6;
  boost::system::error_code error;
  acceptor_.assign(six ? tcp::v6() : tcp::v4(), socket.get(), error);
  FS_ASSERT(known && !error);
  static_cast<void>(socket.release());
  endpoint_ = acceptor_.local_endpoint();
}

void Listener::start() { asio::co_spawn(context_, accept(), asio::detached); }

asio::awaitable<void> Listener::accept() {
  asio::steady_timer pause(context_);
  bool complained = false;
  while (accepting_) {
    auto [error, client] = co_await acceptor_.async_accept(asio::as_tuple(asio::use_awaitable));
    // One that was accepted in the moment in which we stopped is ours all the same: nobody else will serve it.
    if (error && !accepting_) break;
    if (error == asio::error::connection_aborted) continue;
    if (error) {
      if (!complained) log::error("{}: cannot accept: {}", settings_.resource, error.message());
      complained = true;
      pause.expires_after(kAcceptRetry);
      co_await pause.async_wait(asio::as_tuple(asio::use_awaitable));
      continue;
    }
    complained = false;
    // Over the limit: closed at once, so that those who are in go on being served.
    const auto to = crowd_.admit(static_cast<std::size_t>(settings_.connections_max));
    if (!to) continue;
    boost::system::error_code ignored;
    client.set_option(tcp::no_delay(true), ignored);
    if (*to == 0) {
      halls_.front()->welcome(std::move(client));
      continue;
    }
    boost::system::error_code gone;
    io::Fd fd(client.release(gone));
    if (gone)
      crowd_.left(*to, 1);
    else
      halls_[*to]->bring(std::move(fd), endpoint_.protocol());
  }
}

void Listener::stop_accepting() {
  accepting_ = false;
  boost::system::error_code ignored;
  acceptor_.close(ignored);
}

}  // namespace foreshadow::proxy
