#include "proxy/listener.hpp"

#include <fmt/format.h>
#include <sys/socket.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/post.hpp>
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
    return fail(Code::io, io::errno_text(fmt::format("{}: cannot listen at {}", settings.resource, settings.listen.text())));
  return socket;
}

Listener::Listener(asio::io_context& context, const ListenerSettings& settings, io::Fd socket, Gate& gate,
                   Protocol& protocol)
    : context_(context), settings_(settings), gate_(gate), protocol_(protocol), acceptor_(context),
      rest_(std::make_shared<RestRoom>(context.get_executor(), [this](tcp::socket client) { serve(std::move(client)); })) {
  protocol_.rest_in(rest_);
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

Listener::~Listener() { rest_->close(); }

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
    if (sessions() >= static_cast<std::size_t>(settings_.connections_max)) continue;
    boost::system::error_code ignored;
    client.set_option(tcp::no_delay(true), ignored);
    serve(std::move(client));
  }
}

void Listener::serve(tcp::socket client) {
  const auto at = sessions_.emplace(sessions_.end());
  asio::co_spawn(context_, protocol_.serve(std::move(client), gate_),
                 asio::bind_cancellation_slot(at->slot(), [this, at](const std::exception_ptr& error) {
                   if (error) {
                     try {
                       std::rethrow_exception(error);
                     } catch (const std::exception& e) {
                       // A cancelled session ends by an exception, as asio has it.
                       if (accepting_) log::error("{}: a session ended badly: {}", settings_.resource, e.what());
                     }
                   }
                   // Not here: the signal's own machinery may still be on the stack.
                   asio::post(context_, [this, at] { sessions_.erase(at); });
                 }));
}

void Listener::stop_accepting() {
  accepting_ = false;
  boost::system::error_code ignored;
  acceptor_.close(ignored);
}

void Listener::cancel_sessions() {
  // Ending a session may end another; the list loses nodes only in handlers of their own.
  for (auto& session : sessions_) session.emit(asio::cancellation_type::terminal);
}

}  // namespace foreshadow::proxy
