#include "kinds/postgres/gateway/link.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "proxy/wake.hpp"

namespace foreshadow::kinds::pg_gateway {

namespace asio = boost::asio;
constexpr auto use = asio::as_tuple(asio::use_awaitable);

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

}  // namespace foreshadow::kinds::pg_gateway
