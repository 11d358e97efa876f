// A gate with a loop that the test runs itself.
#pragma once

#include <gtest/gtest.h>

#include <boost/asio.hpp>
#include <list>
#include <optional>

#include "proxy/gate_impl.hpp"
#include "proxy/tables.hpp"

namespace foreshadow::proxy::testing {

namespace asio = boost::asio;


struct GateTest : ::testing::Test {
  asio::io_context context;
  GateImpl gate;
  HoldPolicy policy{.lease = Millis{10'000}, .budget = Millis{5'000}, .park_max = Millis{10'000}};
  std::optional<Result<void>> held;

  explicit GateTest(const InstanceLimits& limits = {})
      : gate(context.get_executor(), {"shop", segments(), instance("a", 9001), 100, 42, limits}) {}
  void TearDown() override {
    gate.close();
    context.restart();
    context.run_for(kLong);
  }
  void put(const RouteTable& t) {
    const auto next = gate.propose(t);
    ASSERT_TRUE(next) << next.error().what;
    gate.put_in_force(t);
  }
  Result<void> hold(std::uint64_t next_epoch = 1) {
    held.reset();
    return gate.hold(1, next_epoch, policy, [this](const Result<void>& r) { held = r; });
  }
  // Runs the loop until the condition holds.
  template <class F>
  bool until(F condition) {
    const auto deadline = std::chrono::steady_clock::now() + kLong;
    while (!condition() && std::chrono::steady_clock::now() < deadline) {
      context.restart();
      context.run_one_for(std::chrono::milliseconds{20});
    }
    return condition();
  }
  // Enters in a coroutine of its own, notes the order, and keeps the pass.
  struct Entered {
    std::optional<Result<Pass>> result;
    int order = 0;
  };
  int entered = 0;
  std::list<Entered> entries;
  Entered& enter(std::size_t segment = 0, std::uint64_t sticky = 0, Work work = Work::write) {
    auto& entry = entries.emplace_back();
    asio::co_spawn(
        context,
        [](GateTest& test, Entered& e, std::size_t seg, std::uint64_t s, Work w) -> asio::awaitable<void> {
          e.result = co_await test.gate.enter(seg, s, w);
          e.order = ++test.entered;
        }(*this, entry, segment, sticky, work),
        asio::detached);
    context.restart();
    context.poll();
    return entry;
  }
};

}  // namespace foreshadow::proxy::testing
