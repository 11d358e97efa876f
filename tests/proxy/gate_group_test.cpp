// Several gates as one: what one of them cannot do is taken back from the others.
#include "proxy/gate_group.hpp"

#include <gtest/gtest.h>

#include <boost/asio/executor_work_guard.hpp>
#include <nlohmann/json.hpp>
#include <thread>

#include "proxy/on_loop.hpp"
#include "proxy/tables.hpp"

namespace foreshadow::proxy {
namespace {

namespace asio = boost::asio;
using testing::instance;
using testing::table;

constexpr HoldPolicy kLong{.lease = Millis{20'000}, .budget = Millis{20'000}, .park_max = Millis{20'000}};

struct GateGroupTest : ::testing::Test {
  // One thread and its gate.
  struct Plane {
    asio::io_context context{1};
    std::unique_ptr<GateImpl> gate;
    asio::executor_work_guard<asio::io_context::executor_type> work{context.get_executor()};
    std::thread thread;

    auto on(auto call) { return ask(context, std::move(call)).get(); }
    Plane() {
      GateSettings settings{.resource = "shop", .segments = testing::segments(), .primary = instance("a", 9001)};
      gate = std::make_unique<GateImpl>(context.get_executor(), settings);
      thread = std::thread([this] { context.run(); });
    }
    ~Plane() {
      on([&] { gate->close(); });
      work.reset();
      thread.join();
    }

    HoldState state() {
      return on([this] { return gate->report().hold; });
    }
  };
  Plane one, two;
  GateGroup group{{{&one.context, one.gate.get(), nullptr}, {&two.context, two.gate.get(), nullptr}}};
};

TEST_F(GateGroupTest, ASealThatOneRefusesIsTakenBack) {
  ASSERT_TRUE(group.hold(1, 1, kLong));
  two.on([&] { two.gate->release(1, 1); });
  const auto refused = group.seal(1, 1);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::refused);
  EXPECT_EQ(one.state(), HoldState::held) << "as if the seal had not been asked for";
  EXPECT_EQ(two.state(), HoldState::open);
}

TEST_F(GateGroupTest, ASealIsOneStateAndSurvivesARepetition) {
  ASSERT_TRUE(group.hold(1, 1, kLong));
  const auto sealed = group.seal(1, 1);
  ASSERT_TRUE(sealed);
  EXPECT_TRUE(sealed->seal.has_value());
  EXPECT_EQ(*group.seal(1, 1), *sealed);
  EXPECT_FALSE(group.seal(1, 2));
  EXPECT_EQ(one.state(), HoldState::sealed) << "what was sealed before is not unsealed by what is refused";
  group.unseal();
  EXPECT_EQ(one.state(), HoldState::held);
  EXPECT_EQ(two.state(), HoldState::held);
}

TEST_F(GateGroupTest, AHoldThatOneRefusesEndsAtAll) {
  auto mark = two.on([&] { return std::make_shared<UnmovableMark>(two.gate->unmovable("a cursor")); });
  const auto refused = group.hold(1, 1, kLong);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::refused);
  EXPECT_EQ(one.state(), HoldState::open);
  two.on([mark = std::move(mark)]() mutable { mark.reset(); });
}

TEST_F(GateGroupTest, WhatAllRefuseChangesNothing) {
  ASSERT_TRUE(group.hold(2, 1, kLong));
  EXPECT_EQ(group.hold(1, 1, kLong).error().code, Code::conflict) << "a term that is over";
  EXPECT_EQ(one.state(), HoldState::held);
  EXPECT_EQ(two.state(), HoldState::held);
}

TEST_F(GateGroupTest, ALaterHoldIsNotGivenUpWithAnEarlierOne) {
  auto pass = two.on([&] { return std::make_shared<Pass>(*two.gate->try_enter(0, 0)); });
  const auto first = group.hold(1, 1, kLong);
  ASSERT_TRUE(first);
  two.on([&] { two.gate->release(1, 1); });
  EXPECT_FALSE(GateGroup::wait(*first->drain)) << "one was released";
  EXPECT_EQ(one.state(), HoldState::held);
  const auto second = group.hold(1, 1, kLong);
  ASSERT_TRUE(second);
  group.give_up(*first->drain);
  EXPECT_EQ(one.state(), HoldState::held) << "it is the second's now";
  EXPECT_EQ(two.state(), HoldState::holding);
  two.on([pass = std::move(pass)]() mutable {
    pass->finish(true, Micros{1});
    pass.reset();
  });
  EXPECT_TRUE(GateGroup::wait(*second->drain));
  group.give_up(*second->drain);
  EXPECT_EQ(one.state(), HoldState::open);
  EXPECT_EQ(two.state(), HoldState::open);
}

TEST_F(GateGroupTest, ATableIsOneProposalAndReachesAll) {
  const auto proposed = group.propose(table(0, 1, 1.0));
  ASSERT_TRUE(proposed && *proposed);
  group.put_in_force(table(0, 1, 1.0));
  EXPECT_EQ(group.state().table, (*proposed)->table);
  const auto same = group.propose(table(0, 1, 1.0));
  EXPECT_TRUE(same && !*same) << "in force already";
  EXPECT_FALSE(group.propose(table(0, 1, 0.5)));
}

TEST_F(GateGroupTest, APlaceIsTakenBeforeAnythingIsWrittenThere) {
  ASSERT_TRUE(group.hold(1, 1, kLong));
  ASSERT_TRUE(group.seal(1, 1));
  auto next = table(1, 1);
  next.current = instance("b", 9002);
  one.on([&] {
    EXPECT_TRUE(one.gate->put_in_place(next));
    EXPECT_FALSE(one.gate->try_enter(0, 0)) << "writes wait for the other gates";
    auto read = one.gate->try_enter(0, 0, Work::read);
    EXPECT_TRUE(read && read->target().id == "b");
    one.gate->open_up();
    const auto write = one.gate->try_enter(0, 0);
    EXPECT_TRUE(write && write->target().id == "b");
  });
}

}  // namespace
}  // namespace foreshadow::proxy
