#include "observe/gateway_source.hpp"

#include <gtest/gtest.h>

namespace foreshadow::observe {
namespace {

const Sides sides_alone{"a", std::nullopt};
const Sides both{"a", "b"};

GatewayReport report(const std::string& gateway, std::uint64_t requests, std::uint64_t errors, std::uint64_t us,
                     const std::string& incarnation = "1", std::uint64_t epoch = 1) {
  GatewayReport r;
  r.gateway = gateway;
  r.resource = "shop";
  r.incarnation = incarnation;
  r.epoch = epoch;
  SegmentStats s;
  s.segment = "orders";
  s.current.requests = requests;
  s.current.errors = errors;
  s.current.latency.add(Histogram::bucket_of(us), requests);
  r.segments.push_back(s);
  return r;
}

Time at(double seconds) { return time_from_ms(1'000'000 + static_cast<std::int64_t>(seconds * 1000)); }

std::optional<double> value_of(const std::vector<Reading>& readings, const std::string& instance,
                               const std::string& signal) {
  for (const auto& r : readings)
    if (r.instance == instance && r.signal == signal) return r.value;
  return std::nullopt;
}

TEST(GatewayStatistics, rates_ratios_and_quantiles_of_the_interval) {
  GatewayStatistics statistics;
  EXPECT_TRUE(statistics.update({report("edge", 1000, 500, 90'000)}, sides_alone, at(0)).empty());
  const auto readings = statistics.update({report("edge", 1100, 505, 10'000)}, sides_alone, at(1));
  EXPECT_EQ(value_of(readings, "a", "request_rate"), 100);
  EXPECT_EQ(value_of(readings, "a", "request_rate{segment=\"orders\"}"), 100);
  EXPECT_EQ(value_of(readings, "a", "request_error_ratio"), 0.05);
}

TEST(GatewayStatistics, quantiles_are_of_new_requests_only) {
  GatewayStatistics statistics;
  auto before = report("edge", 100'000, 0, 1'000'000);
  statistics.update({before}, sides_alone, at(0));
  auto after = before;
  after.segments[0].current.requests += 1000;
  after.segments[0].current.latency.add(Histogram::bucket_of(10'000), 980);
  after.segments[0].current.latency.add(Histogram::bucket_of(300'000), 20);
  const auto readings = statistics.update({after}, sides_alone, at(1));
  EXPECT_NEAR(value_of(readings, "a", "request_p50_seconds").value_or(0), 0.010, 0.0015);
  EXPECT_NEAR(value_of(readings, "a", "request_p99_seconds").value_or(0), 0.300, 0.04);
}

TEST(GatewayStatistics, gathers_over_its_span_and_says_nothing_of_too_few) {
  GatewayStatistics statistics({.span = Millis{1000}, .requests_min = 20});
  statistics.update({report("edge", 0, 0, 1000)}, sides_alone, at(0));
  auto readings = statistics.update({report("edge", 10, 0, 1000)}, sides_alone, at(0.25));
  EXPECT_EQ(value_of(readings, "a", "request_rate"), 40);
  EXPECT_FALSE(value_of(readings, "a", "request_p99_seconds"));
  readings = statistics.update({report("edge", 20, 0, 1000)}, sides_alone, at(0.5));
  EXPECT_TRUE(value_of(readings, "a", "request_p99_seconds"));
  for (int i = 3; i <= 8; ++i) readings = statistics.update({report("edge", 20, 0, 1000)}, sides_alone, at(0.25 * i));
  EXPECT_EQ(value_of(readings, "a", "request_rate"), 0);
  EXPECT_FALSE(value_of(readings, "a", "request_error_ratio"));
}

TEST(GatewayStatistics, sums_gateways_and_counts_a_new_incarnation_from_zero) {
  GatewayStatistics statistics;
  statistics.update({report("edge", 1000, 0, 1000), report("west", 5000, 0, 1000)}, sides_alone, at(0));
  const auto readings =
      statistics.update({report("edge", 30, 0, 1000, "2"), report("west", 5070, 0, 1000)}, sides_alone, at(1));
  EXPECT_EQ(value_of(readings, "a", "request_rate"), 100);
}

TEST(GatewayStatistics, a_silent_gateway_makes_the_rate_unknown) {
  GatewayStatistics statistics({.span = Millis{0}, .requests_min = 20});
  statistics.update({report("edge", 0, 0, 1000), report("west", 0, 0, 1000)}, sides_alone, at(0));
  const auto readings = statistics.update({report("edge", 100, 1, 1000)}, sides_alone, at(1));
  EXPECT_FALSE(value_of(readings, "a", "request_rate"));
  EXPECT_EQ(value_of(readings, "a", "request_error_ratio"), 0.01);
  // Back again: only from then on, since nobody knows when it counted what.
  const auto later =
      statistics.update({report("edge", 150, 1, 1000), report("west", 900, 0, 1000)}, sides_alone, at(2));
  EXPECT_EQ(value_of(later, "a", "request_rate"), 50);
}

TEST(GatewayStatistics, nothing_is_attributed_across_a_change_of_epoch_or_sides) {
  GatewayStatistics statistics;
  statistics.update({report("edge", 0, 0, 1000)}, both, at(0));
  EXPECT_TRUE(statistics.update({report("edge", 100, 0, 1000, "1", 2)}, both, at(1)).empty());
  EXPECT_FALSE(statistics.update({report("edge", 150, 0, 1000, "1", 2)}, both, at(2)).empty());
  EXPECT_TRUE(statistics.update({report("edge", 200, 0, 1000, "1", 2)}, Sides{"b", "a"}, at(3)).empty());
  const auto readings = statistics.update({report("edge", 300, 0, 1000, "1", 2)}, Sides{"b", "a"}, at(4));
  EXPECT_EQ(value_of(readings, "b", "request_rate"), 100);
}

TEST(GatewayStatistics, mirrored_work_is_the_other_sides_work) {
  GatewayStatistics statistics;
  auto r = report("edge", 0, 0, 1000);
  statistics.update({r}, both, at(0));
  r.segments[0].other.requests = 20;
  r.segments[0].mirror.sent = 80;
  r.segments[0].mirror.errors = 10;
  r.segments[0].mirror.latency.add(Histogram::bucket_of(5000), 70);
  r.segments[0].other.latency.add(Histogram::bucket_of(5000), 20);
  const auto readings = statistics.update({r}, both, at(1));
  EXPECT_EQ(value_of(readings, "b", "request_rate"), 100);
  EXPECT_EQ(value_of(readings, "b", "request_error_ratio"), 0.1);
  EXPECT_NEAR(value_of(readings, "b", "request_p99_seconds").value_or(0), 0.005, 0.001);
}

TEST(GatewaySource, readings_of_a_moment_in_which_the_sides_changed_are_dropped) {
  struct : Clock {
    Time now() override { return time_from_ms(++ms * 1000); }
    std::int64_t ms = 0;
  } clock;
  int asked = 0;
  std::uint64_t requests = 0;
  bool flip = false;
  const auto source = gateway_source(
      "gateways:shop",
      [&](std::stop_token) -> Result<std::vector<GatewayReport>> {
        return std::vector{report("edge", requests += 50, 0, 1000)};
      },
      [&] { return flip && ++asked % 2 == 0 ? Sides{"b", "a"} : both; }, clock);
  EXPECT_TRUE(source->scrape({})->empty());
  EXPECT_FALSE(source->scrape({})->empty());
  flip = true;
  EXPECT_TRUE(source->scrape({})->empty());
}

TEST(GatewaySource, a_failed_fetch_is_an_error) {
  struct : Clock {
    Time now() override { return {}; }
  } clock;
  const auto source = gateway_source(
      "g",
      [](std::stop_token) -> Result<std::vector<GatewayReport>> {
        return fail(Code::unreachable, "edge is not there");
      },
      [] { return both; }, clock);
  EXPECT_EQ(source->scrape({}).error().what, "edge is not there");
}

TEST(EvidenceBetween, counts_what_came_since) {
  CanaryPolicy policy;
  auto before = report("edge", 100, 5, 1000);
  auto after = report("edge", 160, 7, 1000);
  after.segments[0].current.latency = before.segments[0].current.latency;
  after.segments[0].current.latency.add(Histogram::bucket_of(2'000'000), 4);
  after.segments[0].current.latency.add(Histogram::bucket_of(2'000), 56);
  after.segments[0].other = {.requests = 9, .errors = 1, .latency = {}};
  after.segments[0].mirror.sent = 40;
  after.segments[0].mirror.errors = 3;
  after.segments[0].mirror.mismatched = 2;
  after.segments[0].mirror.dropped = 6;
  after.segments[0].mirror.paused = 9;
  after.segments[0].mirror.paused_in_vain = 7;
  after.segments[0].mirror.latency.add(Histogram::bucket_of(900'000), 5);
  after.unmovable = {{"temporary table", 2}};
  const auto evidence = evidence_between({before}, {after}, policy);
  ASSERT_EQ(evidence.segments.size(), 1U);
  const auto& s = evidence.segments[0];
  EXPECT_EQ(s.segment, "orders");
  EXPECT_EQ(s.current_requests, 60U);
  EXPECT_EQ(s.current_errors, 2U);
  EXPECT_EQ(s.current_slow, 4U);
  EXPECT_EQ(s.other_requests, 9U);
  EXPECT_EQ(s.other_errors, 1U);
  EXPECT_EQ(s.mirrored, 47U) << "with those that would have failed";
  EXPECT_EQ(s.mirror_errors, 10U);
  EXPECT_EQ(s.mirror_slow, 5U);
  EXPECT_EQ(s.mirror_mismatched, 2U);
  EXPECT_EQ(s.mirror_dropped, 6U);
  EXPECT_EQ(evidence.unmovable, (std::vector<Unmovable>{{"temporary table", 2}}));
  EXPECT_EQ(evidence.gateways, (std::vector<GatewayAck>{{"edge", "1"}}));
}

TEST(EvidenceBetween, merges_gateways_and_takes_none_without_a_past) {
  const auto evidence = evidence_between({report("edge", 100, 0, 1000)},
                                         {report("edge", 150, 0, 1000), report("west", 999, 9, 1000)}, {});
  EXPECT_EQ(evidence.segments.at(0).current_requests, 50U);
  EXPECT_EQ(evidence.gateways.size(), 2U);
}

TEST(EvidenceBetween, tells_each_hold_once_when_nobody_waits_any_more) {
  const auto before = report("edge", 100, 0, 1000);
  auto held = before;
  held.hold = HoldState::held;
  held.hold_waits = HoldWaits{.next_epoch = 2};
  held.parked = 1;
  EXPECT_TRUE(evidence_between({before}, {held}, {}).holds.empty());
  auto open = held;
  open.hold = HoldState::open;
  open.hold_waits->waits.record(7000);
  EXPECT_TRUE(evidence_between({held}, {open}, {}).holds.empty()) << "one waits for room still";
  open.parked = 0;
  EXPECT_EQ(evidence_between({held}, {open}, {}).holds, (std::vector<HoldFelt>{{"edge", *open.hold_waits}}));
  EXPECT_EQ(evidence_between({before}, {open}, {}).holds.size(), 1U) << "between two looks";
  EXPECT_TRUE(evidence_between({open}, {open}, {}).holds.empty());
}

TEST(EvidenceBetween, a_new_incarnation_counts_from_zero_and_a_new_epoch_not_at_all) {
  EXPECT_EQ(evidence_between({report("edge", 100, 0, 1000)}, {report("edge", 150, 0, 1000, "2")}, {})
                .segments.at(0)
                .current_requests,
            150U);
  EXPECT_EQ(evidence_between({report("edge", 100, 0, 1000)}, {report("edge", 150, 0, 1000, "1", 2)}, {})
                .segments.at(0)
                .current_requests,
            0U);
}

}  // namespace
}  // namespace foreshadow::observe
