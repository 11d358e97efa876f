#include "kinds/postgres/gateway/link.hpp"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cstring>

#include "proxy/wake.hpp"

namespace foreshadow::kinds::pg_gateway {

namespace asio = boost::asio;
constexpr auto use = asio::as_tuple(asio::use_awaitable);

void Inbox::resize(std::size_t capacity) {
  auto grown = std::make_unique_for_overwrite<char[]>(capacity);
  const std::size_t held = end_ - begin_;
  if (held > 0) std::memcpy(grown.get(), data_.get() + begin_, held);
  data_ = std::move(grown);
  capacity_ = capacity;
  begin_ = 0;
  end_ = held;
}

asio::mutable_buffer Inbox::room() {
  const std::size_t held = end_ - begin_;
  if (capacity_ == 0) resize(small_bytes);
  if (filled_ && capacity_ < busy_bytes) resize(std::min(capacity_ * 4, busy_bytes));  // the peer has much to say
  if (begin_ > 0 && (held == 0 || capacity_ - end_ < capacity_ / 4)) {
    if (held > 0) std::memmove(data_.get(), data_.get() + begin_, held);
    begin_ = 0;
    end_ = held;
  }
  if (end_ == capacity_) resize(capacity_ * 2);
  return {data_.get() + end_, capacity_ - end_};
}

void Inbox::consume(std::size_t bytes) {
  filled_ = end_ == capacity_;
  begin_ += bytes;
  if (begin_ != end_) return;
  begin_ = end_ = 0;
  // Thousands of idle sessions must not each keep the room that one burst needed.
  if (capacity_ > busy_bytes || (capacity_ > small_bytes && !filled_)) {
    data_.reset();
    capacity_ = 0;
  }
}

Bell::Bell(const asio::any_io_executor& executor) : timer_(executor, asio::steady_timer::time_point::max()) {}

asio::awaitable<bool> Bell::wait() {
  const auto before = rung_;
  ++waiting_;
  co_await timer_.async_wait(use);
  --waiting_;
  co_return rung_ != before;
}

Deadline::Deadline(const asio::any_io_executor& executor, Millis within, std::function<void()> late)
    : state_(std::make_shared<State>(State{std::move(late)})), timer_(executor, within) {
  timer_.async_wait([state = state_](const boost::system::error_code& error) {
    if (error || !state->late) return;
    state->passed = true;
    state->late();
  });
}

Deadline::~Deadline() {
  state_->late = nullptr;
  proxy::wake(timer_);
}

void close_quietly(Socket& socket) {
  boost::system::error_code ignored;
  socket.close(ignored);
}

asio::awaitable<Result<Socket>> connect(asio::any_io_executor executor, Endpoint endpoint, Millis within) {
  const auto unreachable = [&](const boost::system::error_code& error) {
    return fail(Code::unreachable, endpoint.text() + ": " + error.message());
  };
  Socket socket(executor);
  asio::ip::tcp::resolver resolver(executor);
  Deadline deadline(executor, within, [&] {
    resolver.cancel();
    close_quietly(socket);
  });
  boost::system::error_code error;
  if (!endpoint.host.empty() && endpoint.host[0] == '/') {
    const std::string path = endpoint.host + "/.s.PGSQL." + std::to_string(endpoint.port);
    if (path.size() >= 108) co_return fail(Code::invalid, path + ": too long for a Unix socket");
    const asio::local::stream_protocol::endpoint at(path);
    std::tie(error) = co_await socket.async_connect(at, use);
  } else {
    asio::ip::tcp::endpoint at(asio::ip::make_address(endpoint.host, error), endpoint.port);
    if (error) {
      auto [failed, found] = co_await resolver.async_resolve(endpoint.host, std::to_string(endpoint.port), use);
      if (failed) co_return unreachable(failed);
      at = found.begin()->endpoint();
    }
    std::tie(error) = co_await socket.async_connect(at, use);
    if (!error) {
      boost::system::error_code ignored;
      socket.set_option(asio::ip::tcp::no_delay(true), ignored);
      socket.set_option(asio::socket_base::keep_alive(true), ignored);
    }
  }
  if (deadline.passed()) co_return fail(Code::timeout, endpoint.text() + ": no connection in time");
  if (error) co_return unreachable(error);
  co_return socket;
}

}  // namespace foreshadow::kinds::pg_gateway
