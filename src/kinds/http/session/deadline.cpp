#include "kinds/http/session/deadline.hpp"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace foreshadow::kinds::http {

namespace asio = boost::asio;
using Steady = Watch::Steady;

namespace {

awaitable<Result<proxy::Pass>> enter(proxy::Gate& gate, const Request& request, proxy::Work work, bool again) {
  return again ? gate.enter_again(request.segment, request.client.sticky)
               : gate.enter(request.segment, request.client.sticky, work);
}
// Into a variable: leave that comes at the very moment at which the time is over must not be lost.
awaitable<void> enter_into(std::optional<Result<proxy::Pass>>& entered, proxy::Gate& gate, const Request& request,
                           proxy::Work work, bool again) {
  entered.emplace(co_await enter(gate, request, work, again));
}
awaitable<void> wait_until(Steady::time_point then) {
  asio::steady_timer timer(co_await asio::this_coro::executor, then);
  co_await timer.async_wait(asio::as_tuple(asio::use_awaitable));
}

}  // namespace

void begin_time(const Core& core, Request& request) {
  const auto all = core.rules[request.segment].request_timeout;
  if (all > Millis{0}) request.until = request.received_at + all;
}

Millis left_of(const Request& request, Millis timeout) {
  if (request.until == Steady::time_point::max()) return timeout;
  return std::clamp(std::chrono::duration_cast<Millis>(request.until - Steady::now()), Millis{1},
                    std::max(timeout, Millis{1}));
}

awaitable<Result<proxy::Pass>> enter_in_time(proxy::Gate& gate, const Request& request, proxy::Work work, bool again) {
  if (request.until == Steady::time_point::max()) co_return co_await enter(gate, request, work, again);
  using namespace asio::experimental::awaitable_operators;
  std::optional<Result<proxy::Pass>> entered;
  co_await (enter_into(entered, gate, request, work, again) || wait_until(request.until));
  if (entered && (*entered || Steady::now() < request.until)) co_return std::move(*entered);
  co_return fail(Code::timeout, "the time for this request was over before its turn came; nothing was done");
}

}  // namespace foreshadow::kinds::http
