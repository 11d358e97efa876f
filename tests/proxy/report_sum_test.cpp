#include "proxy/report_sum.hpp"

#include <gtest/gtest.h>

namespace foreshadow::proxy {
namespace {

GatewayReport report() {
  GatewayReport r;
  r.resource = "shop";
  r.segments.push_back({.segment = "browse"});
  r.instances.push_back({.instance = "a"});
  return r;
}

TEST(ReportSum, AddsEveryCount) {
  auto one = report(), two = report();
  for (auto* r : {&one, &two}) {
    r->sessions = 3;
    r->in_flight = 2;
    r->parked = 1;
    r->log_lines_dropped = 4;
    r->unmovable = {{"cursor", 2}};
    auto& segment = r->segments[0];
    segment.current = {.requests = 7, .errors = 6, .failures = {1, 2, 3, 4, 5, 6}};
    segment.current.latency.record(10);
    segment.mirror = {.sent = 1, .dropped = 2, .paused = 3, .paused_in_vain = 4, .errors = 5, .mismatched = 6};
    segment.mirror.latency.record(20);
    segment.refusals = {1, 2, 3, 4, 5};
    segment.refused = 8;
    segment.flowed = 9;
    segment.reentered = 10;
    segment.diverted = 11;
    segment.insurance = {1, 2, 3};
    r->instances[0].busy = 1;
    r->instances[0].queued = 2;
    r->instances[0].waited = 3;
    r->instances[0].opened = 4;
  }
  two.unmovable.push_back({"table", 1});
  two.segments.push_back({.segment = "(unmatched)", .refused = 1});
  two.instances.push_back({.instance = "b", .busy = 5});
  add_to(one, two);
  EXPECT_EQ(one.sessions, 6);
  EXPECT_EQ(one.in_flight, 4);
  EXPECT_EQ(one.parked, 2);
  EXPECT_EQ(one.log_lines_dropped, 8u);
  EXPECT_EQ(one.unmovable, (std::vector<Unmovable>{{"cursor", 4}, {"table", 1}}));
  ASSERT_EQ(one.segments.size(), 2u);
  const auto& segment = one.segments[0];
  EXPECT_EQ(segment.current.requests, 14u);
  EXPECT_EQ(segment.current.errors, 12u);
  EXPECT_EQ(segment.current.failures, (Failures{2, 4, 6, 8, 10, 12}));
  EXPECT_EQ(segment.current.latency.total(), 2u);
  EXPECT_EQ(segment.mirror.sent, 2u);
  EXPECT_EQ(segment.mirror.dropped, 4u);
  EXPECT_EQ(segment.mirror.paused, 6u);
  EXPECT_EQ(segment.mirror.paused_in_vain, 8u);
  EXPECT_EQ(segment.mirror.errors, 10u);
  EXPECT_EQ(segment.mirror.mismatched, 12u);
  EXPECT_EQ(segment.mirror.latency.total(), 2u);
  EXPECT_EQ(segment.refusals, (Refusals{2, 4, 6, 8, 10}));
  EXPECT_EQ(segment.refused, 16u);
  EXPECT_EQ(segment.flowed, 18u);
  EXPECT_EQ(segment.reentered, 20u);
  EXPECT_EQ(segment.diverted, 22u);
  EXPECT_EQ(segment.insurance, (InsuranceStats{2, 4, 6}));
  EXPECT_EQ(one.segments[1].refused, 1u);
  ASSERT_EQ(one.instances.size(), 2u);
  EXPECT_EQ(one.instances[0].busy, 2);
  EXPECT_EQ(one.instances[0].queued, 4);
  EXPECT_EQ(one.instances[0].waited, 6u);
  EXPECT_EQ(one.instances[0].opened, 8u);
  EXPECT_EQ(one.instances[1].busy, 5);
}

TEST(ReportSum, SaysWhatAllVouchFor) {
  auto one = report(), two = report();
  one.epoch = 3, one.version = 9;
  two.epoch = 4, two.version = 1;
  one.hold = HoldState::sealed;
  two.hold = HoldState::holding;
  two.instances[0].circuit = CircuitState::open;
  two.instances[0].why = "5 failures in a row";
  add_to(two, one);
  EXPECT_EQ(two.epoch, 3u);
  EXPECT_EQ(two.version, 9u);
  EXPECT_EQ(two.hold, HoldState::holding);
  EXPECT_EQ(two.instances[0].circuit, CircuitState::open);
  EXPECT_EQ(two.instances[0].why, "5 failures in a row");
}

TEST(ReportSum, APaceIsThatOfAll) {
  auto one = report(), two = report();
  one.mirror_pace = {.rate = 1, .evidence = 2, .blocks = 3, .slowed_down = 0, .control = 99};
  two.mirror_pace = {.rate = 0.5, .evidence = 50, .blocks = 4, .slowed_down = 1, .control = 99};
  add_to(one, two);
  EXPECT_EQ(*one.mirror_pace,
            (MirrorPace{.rate = 0.75, .evidence = 50, .blocks = 7, .slowed_down = 1, .control = 198}));
}

}  // namespace
}  // namespace foreshadow::proxy
