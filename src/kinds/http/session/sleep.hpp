// A coroutine that sleeps until somebody wakes it, at once and on the waker's own stack: no timer, no way through the
// event loop. On one executor without parallelism.
#pragma once

#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <optional>
#include <utility>

#include "base/assert.hpp"

namespace foreshadow::kinds::http {

class Sleep {
 public:
  // Cannot be cancelled: only wake() ends it. Requires: nobody sleeps here.
  boost::asio::awaitable<void> wait() {
    return boost::asio::async_initiate<const boost::asio::use_awaitable_t<>&, void()>(
        [this](Waiter waiter) { waiter_.emplace(std::move(waiter)); }, boost::asio::use_awaitable);
  }
  // Returns when the coroutine waits for something else, or is over. Requires: it sleeps.
  void wake() {
    FS_ASSERT(waiter_);
    // Out of here first: it may come back to sleep.
    auto waiter = std::move(*waiter_);
    waiter_.reset();
    std::move(waiter)();
  }

 private:
  using Waiter = boost::asio::async_result<boost::asio::use_awaitable_t<>, void()>::handler_type;
  std::optional<Waiter> waiter_;
};

}  // namespace foreshadow::kinds::http
