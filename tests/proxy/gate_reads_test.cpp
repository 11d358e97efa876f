// Reads that go on in a hold.
#include "proxy/gate_rig.hpp"

namespace foreshadow::proxy {
namespace {

namespace asio = boost::asio;
using testing::instance;
using testing::table;

struct GateReads : testing::GateTest {
  std::optional<Pass> read() { return gate.try_enter(0, 0, Work::read); }
  static void end(std::optional<Pass>& pass) {
    pass->finish(true, Micros{1});
    pass.reset();
  }
};

TEST_F(GateReads, FlowThroughHoldAndSealWhileWritesWait) {
  ASSERT_TRUE(hold());
  EXPECT_FALSE(gate.try_enter(0, 0, Work::write));
  auto first = read();
  ASSERT_TRUE(first);
  EXPECT_EQ(first->target().id, "a");
  EXPECT_EQ(first->work(), Work::read);
  auto& writing = enter();
  EXPECT_EQ(gate.report().parked, 1);
  ASSERT_TRUE(gate.seal(1, 1));
  auto second = read();
  ASSERT_TRUE(second);
  end(first);
  end(second);
  auto next = table(1, 1);
  next.current = instance("b", 9002);
  put(next);
  EXPECT_EQ(read()->target().id, "b") << "never again the old side";
  ASSERT_TRUE(until([&] { return writing.result.has_value(); }));
  EXPECT_EQ((*writing.result)->target().id, "b");
  EXPECT_EQ(gate.report().segments.at(0).flowed, 2u);
}

TEST_F(GateReads, DoNotKeepAHoldFromBeingDrained) {
  auto reading = read();
  auto writing = gate.try_enter(1, 0);
  ASSERT_TRUE(hold());
  EXPECT_FALSE(held);
  writing->finish(true, Micros{1});
  writing.reset();
  ASSERT_TRUE(held && held->has_value()) << "one that reads is still in flight";
  EXPECT_EQ(gate.report().in_flight, 1);
  EXPECT_TRUE(gate.seal(1, 1));
  end(reading);
}

TEST_F(GateReads, AreParkedOnceASealLastsTooLong) {
  policy.park_max = Millis{40};
  ASSERT_TRUE(hold());
  ASSERT_TRUE(gate.seal(1, 1));
  ASSERT_TRUE(read());
  const auto overdue = std::chrono::steady_clock::now() + policy.park_max;
  ASSERT_TRUE(until([&] { return std::chrono::steady_clock::now() > overdue; }));
  EXPECT_FALSE(read());
  auto& parked = enter(0, 0, Work::read);
  ASSERT_TRUE(until([&] { return parked.result.has_value(); }));
  EXPECT_EQ(parked.result->error().code, Code::timeout);
  EXPECT_EQ(gate.report().segments.at(0).refusals.parked_too_long, 1u);
}

TEST_F(GateReads, AreParkedInASealThatWasBootedInto) {
  ASSERT_TRUE(hold());
  ASSERT_TRUE(gate.seal(1, 1));
  GateImpl again{context.get_executor(), {"shop", testing::segments(), instance("a", 9001), 100, 1}, gate.state()};
  EXPECT_FALSE(again.try_enter(0, 0, Work::read));
  again.close();
}

TEST_F(GateReads, GivenBackTheyCountForNobodyAndWaitForTheSwitch) {
  ASSERT_TRUE(hold());
  auto pass = read();
  ASSERT_TRUE(pass);
  pass->give_back();
  pass.reset();
  std::optional<Result<Pass>> again;
  asio::co_spawn(
      context,
      [](GateReads& t, std::optional<Result<Pass>>& out) -> asio::awaitable<void> {
        out = co_await t.gate.enter_again(0, 0);
      }(*this, again),
      asio::detached);
  context.restart();
  context.poll();
  EXPECT_FALSE(again) << "reads flow, but this one had its turn";
  EXPECT_EQ(gate.report().parked, 1);
  ASSERT_TRUE(gate.seal(1, 1));
  auto next = table(1, 1);
  next.current = instance("b", 9002);
  put(next);
  ASSERT_TRUE(until([&] { return again.has_value(); }));
  ASSERT_TRUE(*again);
  EXPECT_EQ((*again)->target().id, "b");
  (*again)->finish(true, Micros{1});
  again.reset();
  const auto segment = gate.report().segments.at(0);
  EXPECT_EQ(segment.current.requests, 1u);
  EXPECT_EQ(segment.current.errors, 0u);
  EXPECT_EQ(segment.other.requests, 0u);
  EXPECT_EQ(segment.reentered, 1u);
}

}  // namespace
}  // namespace foreshadow::proxy
