// One unit of work that waits at a gate: for the end of a hold, or for its instance to have room. Lives in the frame of
// the coroutine that waits. What it waited for is put into it before it is woken, so that whoever comes after cannot
// overtake it.
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <list>
#include <optional>

#include "proxy/gate.hpp"

namespace foreshadow::proxy {

struct Waiter {
  Waiter(const boost::asio::any_io_executor& executor, std::size_t of, std::uint64_t who, Work what)
      : segment(of), sticky(who), work(what), timer(executor) {}
  // Also when the coroutine is destroyed while it waits.
  ~Waiter() { unlink(); }
  Waiter(const Waiter&) = delete;
  Waiter& operator=(const Waiter&) = delete;

  void unlink() {
    if (in) in->erase(at);
    in = nullptr;
  }

  const std::size_t segment;
  const std::uint64_t sticky;
  const Work work;
  boost::asio::steady_timer timer;
  std::optional<Pass> pass{};
  std::optional<Error> refused{};
  Lane* lane = nullptr;                           // in whose queue; null: parked
  std::chrono::steady_clock::time_point since{};  // it is there
  std::optional<std::chrono::steady_clock::time_point> parked{};  // since a hold parked it, wherever it waits now
  std::list<Waiter*>* in = nullptr;
  std::list<Waiter*>::iterator at{};
  bool moved = false;  // from one list to another, with another deadline
};

}  // namespace foreshadow::proxy
