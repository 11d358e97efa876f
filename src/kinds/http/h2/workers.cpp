#include "kinds/http/h2/workers.hpp"

#include <algorithm>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <exception>
#include <optional>
#include <utility>

#include "base/assert.hpp"
#include "base/log.hpp"
#include "kinds/http/session/sleep.hpp"

namespace foreshadow::kinds::http::h2 {

namespace asio = boost::asio;

namespace {
constexpr Millis kTidy{1000};
}

struct Workers::Worker {
  explicit Worker(const asio::any_io_executor& executor) : changed(executor) {}
  asio::steady_timer changed;
  asio::cancellation_signal cancel;
  std::optional<Exchange> exchange{};  // none: the worker ends
  Sleep sleep{};
};

Workers::Workers(Link& link, const asio::any_io_executor& executor, Told& told)
    : link_(link), executor_(executor), told_(told), tidy_(link.core.watchdog, [this] { tidy(); }) {}

Workers::~Workers() = default;

void Workers::serve(Stream& stream) {
  ++busy_;
  if (!idle_.empty()) {
    auto& worker = *idle_.back();
    idle_.pop_back();
    unneeded_ = std::min(unneeded_, idle_.size());
    worker.exchange.emplace(link_, stream, worker.changed, worker.cancel);
    return worker.sleep.wake();
  }
  const auto at = workers_.emplace(workers_.end(), executor_);
  // The stream has somebody to tell from now on, whenever the coroutine begins.
  at->exchange.emplace(link_, stream, at->changed, at->cancel);
  asio::co_spawn(executor_, work(*at),
                 asio::bind_cancellation_slot(at->cancel.slot(), [this, at](const std::exception_ptr&) {
                   // Not here: the slot's own machinery may still be on the stack.
                   asio::post(executor_, [this, at] {
                     workers_.erase(at);
                     if (workers_.empty()) told_.all_ended();
                   });
                 }));
}

awaitable<void> Workers::work(Worker& me) {
  // A stream that is over is seen after each wait.
  co_await asio::this_coro::throw_if_cancelled(false);
  while (me.exchange) {
    try {
      co_await me.exchange->run();
    } catch (const std::exception& e) {
      log::error("{}: a request ended badly: {}", link_.core.settings.resource, e.what());
    }
    me.exchange.reset();
    --busy_;
    told_.request_over();
    // Who was cancelled once would be at its every wait.
    const auto state = co_await asio::this_coro::cancellation_state;
    if (dismissed_ || state.cancelled() != asio::cancellation_type::none) co_return;
    idle_.push_back(&me);
    if (!std::exchange(tidying_, true)) tidy_.arm(kTidy);
    co_await me.sleep.wait();
  }
}

void Workers::tidy() {
  let_go(unneeded_);
  if (busy_ == 0) link_.mux.tidy();
  unneeded_ = idle_.size();
  tidying_ = !idle_.empty();
  if (tidying_) tidy_.arm(kTidy);
}

void Workers::let_go(std::size_t count) {
  FS_ASSERT(count <= idle_.size());
  const auto end = idle_.begin() + static_cast<std::ptrdiff_t>(count);
  const std::vector<Worker*> gone(idle_.begin(), end);
  idle_.erase(idle_.begin(), end);
  for (auto* worker : gone) worker->sleep.wake();
}

void Workers::dismiss() {
  dismissed_ = true;
  tidy_.disarm();
  unneeded_ = 0;
  let_go(idle_.size());
}

}  // namespace foreshadow::kinds::http::h2
