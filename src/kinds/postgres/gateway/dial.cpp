#include "kinds/postgres/gateway/dial.hpp"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>

#include "base/log.hpp"
#include "kinds/postgres/gateway/link.hpp"
#include "kinds/postgres/gateway/message.hpp"

namespace foreshadow::kinds::pg_gateway {

namespace asio = boost::asio;
using proxy::error_code;
constexpr auto use = asio::as_tuple(asio::use_awaitable);
using Clock = std::chrono::steady_clock;

namespace {

constexpr std::size_t unix_path_max = 107;
constexpr std::size_t told_max = 64;

bool is_unix(const Endpoint& endpoint) { return endpoint.host.starts_with('/'); }

tl::unexpected<Error> unreachable(const Endpoint& endpoint, const error_code& error) {
  return fail(Code::unreachable, endpoint.text() + ": " + error.message());
}

asio::awaitable<Result<asio::ip::tcp::socket>> connect_unix(asio::any_io_executor executor, Endpoint endpoint,
                                                            Millis within) {
  const std::string path = endpoint.host + "/.s.PGSQL." + std::to_string(endpoint.port);
  if (path.size() > unix_path_max) co_return fail(Code::invalid, path + ": too long for a Unix socket");
  asio::local::stream_protocol::socket socket(executor);
  error_code error;
  {
    Deadline deadline(executor, within, [&] {
      error_code ignored;
      socket.close(ignored);
    });
    std::tie(error) = co_await socket.async_connect(asio::local::stream_protocol::endpoint(path), use);
    if (deadline.passed()) co_return fail(Code::timeout, endpoint.text() + ": no connection in time");
  }
  if (error) co_return unreachable(endpoint, error);
  const int fd = socket.release(error);
  if (error) co_return unreachable(endpoint, error);
  auto adopted = proxy::adopt(executor, fd, error);
  if (error) co_return unreachable(endpoint, error);
  co_return std::move(adopted);
}

asio::awaitable<Result<asio::ip::tcp::socket>> connect_tcp(asio::any_io_executor executor, Endpoint endpoint,
                                                           Millis within) {
  asio::ip::tcp::socket socket(executor);
  asio::ip::tcp::resolver resolver(executor);
  error_code error;
  Deadline deadline(executor, within, [&] {
    resolver.cancel();
    error_code ignored;
    socket.close(ignored);
  });
  asio::ip::tcp::endpoint at(asio::ip::make_address(endpoint.host, error), endpoint.port);
  if (error) {
    auto [failed, found] = co_await resolver.async_resolve(endpoint.host, std::to_string(endpoint.port), use);
    if (failed) co_return unreachable(endpoint, failed);
    at = found.begin()->endpoint();
  }
  std::tie(error) = co_await socket.async_connect(at, use);
  if (deadline.passed()) co_return fail(Code::timeout, endpoint.text() + ": no connection in time");
  if (error) co_return unreachable(endpoint, error);
  error_code ignored;
  socket.set_option(asio::ip::tcp::no_delay(true), ignored);
  socket.set_option(asio::socket_base::keep_alive(true), ignored);
  co_return std::move(socket);
}

}  // namespace

Dialer::Dialer(asio::any_io_executor on, std::shared_ptr<proxy::Watchdog> watchdog, UpstreamTls mode,
               std::string server_name, std::shared_ptr<proxy::Credentials> files)
    : executor(std::move(on)),
      watchdog_(std::move(watchdog)),
      mode_(mode),
      server_name_(std::move(server_name)),
      files_(std::move(files)) {}

asio::awaitable<Result<std::unique_ptr<proxy::Conn>>> Dialer::dial(Instance at, Millis within) {
  const auto until = Clock::now() + within;
  const bool local = is_unix(at.endpoint);
  auto socket = local ? co_await connect_unix(executor, at.endpoint, within)
                      : co_await connect_tcp(executor, at.endpoint, within);
  if (!socket) co_return tl::make_unexpected(std::move(socket.error()));
  auto conn = std::make_unique<proxy::Conn>(std::move(*socket), watchdog_);
  if (mode_ == UpstreamTls::off || local) co_return std::move(conn);
  conn->watch().arm(std::max(Millis{1}, std::chrono::duration_cast<Millis>(until - Clock::now())));
  const auto done = co_await secure(*conn, at);
  if (!done) co_return tl::make_unexpected(done.error());
  conn->watch().disarm();
  told_.erase(at.id);
  co_return std::move(conn);
}

asio::awaitable<Result<void>> Dialer::secure(proxy::Conn& conn, const Instance& at) {
  const std::string where = at.endpoint.text() + ": ";
  const auto lost = [&](const error_code& error) {
    if (conn.timed_out()) return fail(Code::timeout, where + "TLS was not agreed upon in time");
    return fail(Code::unreachable, where + "connection lost before TLS: " + error.message());
  };
  const std::string request = ssl_request();
  if (const auto written = co_await conn.write(request); written.error) co_return lost(written.error);
  char answer = 0;
  // This byte and none behind it: what follows in the plain is nobody's, and TLS will say so.
  if (const auto error = co_await conn.receive(&answer, 1)) co_return lost(error);
  if (answer == 'N' && mode_ == UpstreamTls::prefer) co_return Result<void>();
  if (answer == 'N')
    co_return complain(at,
                       where + "the server speaks no TLS; switch it on there (ssl = on), or write upstream_tls: off");
  // An error before TLS could be anybody's, so what it says is not passed on (CVE-2024-10977).
  if (answer == 'E') co_return fail(Code::unreachable, where + "the server turned the connection away before TLS");
  if (answer != 'S') co_return fail(Code::invalid, where + "no answer of PostgreSQL's to a request for TLS");
  const auto own = at.attributes.find("tls_server_name");
  const auto& name = own != at.attributes.end() ? own->second : server_name_.empty() ? at.endpoint.host : server_name_;
  using io::TlsClient;
  const auto check = mode_ == UpstreamTls::verify_full ? TlsClient::NameCheck::on : TlsClient::NameCheck::off;
  auto tls = files_->client()->connect(name, at.endpoint.text(), {}, check);
  if (!tls) co_return fail(Code::invalid, where + "'" + name + "' cannot be a server's name; set upstream_server_name");
  const auto secured = co_await conn.secure(std::move(tls));
  if (!secured.error) co_return Result<void>();
  if (conn.timed_out() || secured.error != asio::error::connection_aborted) co_return lost(secured.error);
  co_return complain(at, where + "TLS: " + secured.why);
}

// What will not pass by itself is told to the log, once for each change.
tl::unexpected<Error> Dialer::complain(const Instance& at, std::string what) {
  if (told_.size() > told_max) told_.clear();
  if (auto& told = told_[at.id]; told != what) {
    told = what;
    log::warn("instance '{}': {}", at.id, what);
  }
  return fail(Code::refused, std::move(what));
}

}  // namespace foreshadow::kinds::pg_gateway
