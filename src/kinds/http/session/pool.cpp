#include "kinds/http/session/pool.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "kinds/http/options.hpp"
#include "proxy/conn/coarse_clock.hpp"

namespace foreshadow::kinds::http {

namespace asio = boost::asio;
using asio::ip::tcp;
constexpr auto use_tuple = asio::as_tuple(asio::use_awaitable);

namespace {
// Nobody's keep-alive is worth more; and a retired instance must not be kept from stopping by our idle connections.
constexpr Millis kIdleMax{30'000};
constexpr Millis kSweep{1000};
}  // namespace

Pool::Pool(asio::any_io_executor executor, std::shared_ptr<Watchdog> watchdog, std::size_t idle_max, Tls tls)
    : executor_(executor),
      watchdog_(std::move(watchdog)),
      idle_max_(idle_max),
      tls_(std::move(tls)),
      complaints_(tls_.resource),
      sweeper_(executor) {
  const bool secure = tls_.credentials && tls_.credentials->client();
  const bool agreed = tls_.h2.speak == h2client::Speak::automatic && secure;
  if (tls_.h2.speak == h2client::Speak::h2 || agreed)
    links_ = std::make_shared<h2client::Links>(executor, watchdog_, tls_.h2, tls_.head_bytes_max, tls_.write_timeout);
}

std::string Pool::server_name_of(const Instance& instance) const {
  if (!tls_.credentials || !tls_.credentials->client()) return {};
  return tls_server_name(instance, tls_.server_name);
}

Pool::Shelf& Pool::shelf(const Instance& instance) {
  const auto name = server_name_of(instance);
  for (auto& one : shelves_)
    if (one.endpoint == instance.endpoint && one.server_name == name) return one;
  return shelves_.emplace_back(instance.endpoint, name, std::vector<Idle>{});
}

awaitable<Result<h2client::Links::Got>> Pool::get_over_h2(const Instance& instance, Millis timeout) {
  const auto connect = [self = shared_from_this()](const Instance& to, Millis within) {
    return self->connect(to, within, false);
  };
  auto got = co_await links_->get(instance, {instance.endpoint, server_name_of(instance)}, timeout, connect);
  // Its connection refused to become one of HTTP/2's: worth a word, as what TLS says to its failures is.
  if (!got && got.error().code == Code::unreachable) complaints_.tell(instance.id + ": " + got.error().what);
  co_return got;
}

awaitable<Result<Pool::Got>> Pool::get(const Instance& instance, Millis connect_timeout, Millis idle_age_max,
                                       bool http1) {
  if (links_ && !http1) {
    FS_CO_TRY(got, co_await get_over_h2(instance, connect_timeout));
    // Who wants none that was used before has tried one: a connection that is shared has always been used by somebody.
    const bool reused = got.reused && idle_age_max > Millis{0};
    if (got.call || got.conn) co_return Got{std::move(got.conn), reused, std::move(got.call)};
  }
  if (auto one = kept(instance, idle_age_max, false, true)) co_return std::move(*one);
  FS_CO_TRY(fresh, co_await connect(instance, connect_timeout, true));
  co_return Got{std::move(fresh), false};
}

std::optional<Pool::Got> Pool::kept(const Instance& instance, Millis idle_age_max, bool repeatable, bool http1) {
  if (idle_age_max <= Millis{0} || (links_ && !http1)) return std::nullopt;
  auto& idle = shelf(instance).idle;
  if (idle.empty()) return std::nullopt;
  const auto oldest = proxy::coarse_now() - idle_age_max;
  while (!idle.empty() && idle.back().since >= oldest) {
    auto conn = std::move(idle.back().conn);
    idle.pop_back();
    if (repeatable ? conn->seems_quiet() : conn->quiet()) return Got{std::move(conn), true};
  }
  return std::nullopt;
}

awaitable<Result<std::unique_ptr<Conn>>> Pool::connect(const Instance& instance, Millis timeout, bool http1) {
  const auto endpoint = instance.endpoint;
  error_code error;
  std::vector<tcp::endpoint> addresses;
  if (const auto address = asio::ip::make_address(endpoint.host, error); !error) {
    addresses.emplace_back(address, endpoint.port);
  } else {
    tcp::resolver resolver(executor_);
    const auto [failed, found] =
        co_await resolver.async_resolve(endpoint.host, std::to_string(endpoint.port), use_tuple);
    if (failed) co_return fail(Code::unreachable, fmt::format("{}: {}", endpoint.host, failed.message()));
    for (const auto& entry : found) addresses.push_back(entry.endpoint());
  }
  auto conn = std::make_unique<Conn>(tcp::socket(executor_), watchdog_);
  conn->watch().arm(timeout);
  error = asio::error::host_not_found;
  for (const auto& address : addresses) {
    error_code ignored;
    conn->socket().close(ignored);
    const auto [failed] = co_await conn->socket().async_connect(address, use_tuple);
    error = failed;
    if (!error || conn->timed_out()) break;
  }
  if (conn->timed_out()) co_return fail(Code::timeout, fmt::format("{}: no answer to a connect", endpoint.text()));
  if (error) {
    const bool ours = error == asio::error::no_descriptors || error == boost::system::errc::address_not_available ||
                      error == asio::error::no_buffer_space;
    co_return fail(ours ? Code::io : Code::unreachable, fmt::format("{}: {}", endpoint.text(), error.message()));
  }
  error_code ignored;
  conn->socket().set_option(tcp::no_delay(true), ignored);
  if (tls_.credentials && tls_.credentials->client()) {
    const auto name = server_name_of(instance);
    // Both protocols are only offered where either is welcome.
    const std::vector<std::string> alpn =
        http1 && links_ ? std::vector<std::string>{"http/1.1"} : std::vector<std::string>{};
    auto tls = tls_.credentials->client()->connect(name, endpoint.text(), alpn);
    if (!tls) co_return fail(Code::refused, fmt::format("{}: '{}' is not a server name", instance.id, name));
    const auto secured = co_await conn->secure(std::move(tls));
    if (conn->timed_out()) co_return fail(Code::timeout, fmt::format("{}: no TLS handshake in time", endpoint.text()));
    if (secured.error) {
      complaints_.tell(fmt::format("{} at {}, asked for as '{}': {}", instance.id, endpoint.text(), name, secured.why));
      co_return fail(Code::refused, fmt::format("{}: {}", endpoint.text(), secured.why));
    }
  }
  conn->watch().disarm();
  co_return conn;
}

void Pool::put(const Instance& instance, std::unique_ptr<Conn> conn) {
  auto& idle = shelf(instance).idle;
  if (idle.size() >= idle_max_) return;
  conn->watch().disarm();
  conn->release_buffer();
  conn->expect_more();
  idle.push_back({std::move(conn), proxy::coarse_now()});
  if (!sweeping_) sweep();
}

std::size_t Pool::idle() const {
  std::size_t sum = 0;
  for (const auto& one : shelves_) sum += one.idle.size();
  return sum;
}

void Pool::sweep() {
  sweeping_ = true;
  sweeper_.expires_after(kSweep);
  sweeper_.async_wait([weak = weak_from_this()](const error_code& error) {
    const auto self = weak.lock();
    if (!self) return;
    self->sweeping_ = false;
    if (error) return;
    const auto oldest = Watch::Steady::now() - kIdleMax;
    for (auto& one : self->shelves_)
      std::erase_if(one.idle, [&](const Idle& idle) { return idle.since < oldest || !idle.conn->quiet(); });
    std::erase_if(self->shelves_, [](const Shelf& one) { return one.idle.empty(); });
    if (!self->shelves_.empty()) self->sweep();
  });
}

}  // namespace foreshadow::kinds::http
