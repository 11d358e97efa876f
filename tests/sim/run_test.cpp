#include "sim/run.hpp"

#include <gtest/gtest.h>

#include "sim/campaign.hpp"
#include "sim/pair.hpp"
#include "sim/world.hpp"

namespace foreshadow::sim {
namespace {

TEST(Run, the_same_seed_gives_the_same_history) {
  for (std::uint64_t seed = 1; seed <= 6; ++seed) {
    const RunSettings settings{seed, seed % 2 ? Mode::safety : Mode::liveness, false};
    const auto a = run(settings), b = run(settings);
    EXPECT_EQ(a.digest, b.digest) << seed;
    EXPECT_EQ(a.events, b.events) << seed;
    EXPECT_EQ(a.violation, "") << seed;
  }
}

TEST(Run, seeds_differ) { EXPECT_NE(run({1, Mode::safety, false}).digest, run({3, Mode::safety, false}).digest); }

TEST(Run, a_trace_tells_what_happened) {
  const auto report = run({1, Mode::liveness, true});
  EXPECT_FALSE(report.trace.empty());
}

// The invariants must be able to break: each of these acts is one that decisions may never ask for.
class Broken : public ::testing::Test {
 protected:
  Broken() {
    Resource resource;
    resource.id = "db";
    resource.traits = {false, true, true};
    resource.primary.id = "old";
    resource.primary.endpoint = {"127.0.0.1", 1};
    resource.segments = {{"writes", true, false, Millis{0}, 0.5}};
    world = std::make_unique<World>(schedule, random, Faults{}, std::vector<Resource>{resource}, 1);
    primary = resource.primary;
    shadow = *perform(Provision{primary, Millis{0}}, 1).instance;
    perform(Replicate{primary, shadow, Millis{0}}, 2);
  }
  EffectDone perform(EffectBody body, EffectId id = 9) { return world->perform(Effect{id, "db", 1, std::move(body), ""}); }
  std::vector<GatewayAck> seal() {
    const auto acks = perform(Hold{1, HoldPolicy{}}).acks;
    EXPECT_FALSE(perform(Seal{1, acks}).error);
    return acks;
  }

  Schedule schedule{time_from_ms(1'000'000)};
  Random random{1};
  std::unique_ptr<World> world;
  Instance primary, shadow;
};

TEST_F(Broken, promotion_without_a_fence) {
  const auto acks = seal();
  EXPECT_THROW(perform(Promote{primary, shadow, 1, acks}), Violation);
}

TEST_F(Broken, promotion_of_a_shadow_that_lacks_an_acknowledged_commit) {
  world->outsider_write(world->resources().at("db"));
  const auto acks = seal();
  perform(Fence{primary, shadow, 1, acks});
  EXPECT_THROW(perform(Promote{primary, shadow, 1, acks}), Violation);
}

TEST_F(Broken, giving_up_a_seal_after_promotion) {
  const auto acks = seal();
  perform(Fence{primary, shadow, 1, acks});
  EXPECT_FALSE(perform(Promote{primary, shadow, 1, acks}).error);
  EXPECT_THROW(perform(foreshadow::Release{1}), Violation);
}

TEST_F(Broken, destroying_what_serves) {
  EXPECT_THROW(perform(Retire{primary, shadow, "db-7", false}), Violation);
}

TEST_F(Broken, a_stale_term_is_refused_by_gateway_and_agent) {
  const auto acks = seal();
  EXPECT_TRUE(world->perform(Effect{8, "db", 0, foreshadow::Release{1}, ""}).error);
  EXPECT_FALSE(perform(Fence{primary, shadow, 1, acks}).error);
  EXPECT_TRUE(world->perform(Effect{8, "db", 0, Revive{primary, 1}, ""}).error);
}

TEST_F(Broken, taking_out_a_gateway_that_runs) { EXPECT_THROW(world->take_out(world->gateways().front()), Violation); }

TEST_F(Broken, a_gateway_taken_out_parks_until_it_is_told_who_serves) {
  auto& gateway = world->gateways().front();
  world->gateway_crash(gateway);
  world->take_out(gateway);
  EXPECT_EQ(seal().front().incarnation, "out") << "it counts as held and sealed";
  world->gateway_boot(gateway);
  EXPECT_TRUE(gateway.gates.at("db").hold.parks());
  EXPECT_TRUE(perform(Hold{1, HoldPolicy{}}).error) << "a hold of it would prove nothing";
  RouteTable table;
  table.resource = "db";
  table.version = 1;
  table.term = 1;
  table.current = primary;
  EXPECT_FALSE(perform(foreshadow::Steer{table}).error);
  EXPECT_FALSE(gateway.gates.at("db").hold.parks());
}

TEST(Pair, a_gateway_may_be_killed_after_every_step) {
  const auto report = run_pair(1);
  for (const auto& line : report.broken) ADD_FAILURE() << line;
  EXPECT_GT(report.runs, 300);
  EXPECT_GT(report.handed_over, report.runs / 2);
}

TEST(Campaign, seeds_are_parsed_strictly) {
  EXPECT_EQ(parse_seeds("5").value().to, 5U);
  EXPECT_EQ(parse_seeds("5..9").value().from, 5U);
  EXPECT_FALSE(parse_seeds("9..5"));
  EXPECT_FALSE(parse_seeds("a..b"));
  EXPECT_FALSE(parse_seeds(""));
  EXPECT_FALSE(parse_seeds("1..2..3"));
}

}  // namespace
}  // namespace foreshadow::sim
