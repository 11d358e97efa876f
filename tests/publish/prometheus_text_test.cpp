#include "publish/prometheus_text.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <limits>
#include <regex>
#include <set>
#include <sstream>

#include "support/temp_dir.hpp"

namespace foreshadow::publish {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

MetricsView view() {
  MetricsView v;
  Outlook o;
  o.resource = "shop";
  o.known = true;
  o.scores = {{Millis{12000}, 0.25, 0.1, 0.5}, {Millis{30000}, 0.7, 0.6, 0.9}};
  o.reasons = {{.signal = "process_resident_memory_bytes", .score = 0.7}};
  o.time_to_limit = Millis{18500};
  o.drift = 0.4;
  Outlook unknown;
  unknown.resource = "db";
  unknown.scores = {{Millis{12000}, 0, 0, 1}};
  v.resources = {{o, Phase::mirroring, false}, {unknown, Phase::observing, true}};
  v.values = {{"shop", "shop-a", "request_rate{segment=\"orders\"}", 120},
              {"shop", "shop-a", "request_rate", 320.5},
              {"shop", "shop-a", "process_resident_memory_bytes", 64e6}};
  GatewayReport g;
  g.gateway = "edge";
  g.resource = "shop";
  g.hold = HoldState::sealed;
  SegmentStats s;
  s.segment = "say \"hi\"\\\n";
  s.current.requests = 1000;
  s.current.failures.timeout = 3;
  s.current.failures.client_gone = 4;
  for (int i = 0; i < 90; ++i) s.current.latency.record(800);
  for (int i = 0; i < 9; ++i) s.current.latency.record(20'000);
  s.current.latency.record(3'600'000'000);
  s.refused = 5;
  s.mirror.dropped = 7;
  s.refusals.queue_full = 8;
  s.flowed = 11;
  g.segments = {s};
  InstanceStats a{.instance = "shop-a", .busy = 2, .queued = 9, .circuit = CircuitState::half_open, .opened = 4};
  a.wait.record(3'000);
  g.instances = {a};
  g.mirror_pace = MirrorPace{.rate = 0.5, .slowed_down = 3};
  g.log_lines_dropped = 6;
  v.gateways = {g};
  return v;
}

TEST(PrometheusText, renders_what_is_known) {
  const auto text = prometheus_text(view());
  EXPECT_THAT(text, HasSubstr("# TYPE foreshadow_degradation_score_ratio gauge\n"
                              "foreshadow_degradation_score_ratio{resource=\"shop\",horizon_seconds=\"12\"} 0.25\n"
                              "foreshadow_degradation_score_ratio{resource=\"shop\",horizon_seconds=\"30\"} 0.7\n"));
  EXPECT_THAT(text, HasSubstr("foreshadow_time_to_limit_seconds{resource=\"shop\"} 18.5\n"));
  EXPECT_THAT(text, HasSubstr("foreshadow_phase_info{resource=\"shop\",phase=\"mirroring\"} 1\n"));
  EXPECT_THAT(
      text, HasSubstr("foreshadow_observed_request_rate{resource=\"shop\",instance=\"shop-a\",segment=\"orders\"} 120\n"
                      "foreshadow_observed_request_rate{resource=\"shop\",instance=\"shop-a\"} 320.5\n"));
  EXPECT_THAT(text, HasSubstr("foreshadow_gateway_held{gateway=\"edge\",resource=\"shop\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("# TYPE foreshadow_gateway_requests_total counter\n"));
  EXPECT_THAT(text, HasSubstr("foreshadow_gateway_mirror_rate_ratio{gateway=\"edge\",resource=\"shop\"} 0.5\n"));
  EXPECT_THAT(text, HasSubstr("foreshadow_gateway_mirror_slowed_down_total{gateway=\"edge\",resource=\"shop\"} 3\n"));
}

TEST(PrometheusText, renders_what_clients_felt) {
  auto v = view();
  v.gateways[0].segments[0].segment = "orders";
  const auto text = prometheus_text(v);
  const std::string labels = R"({gateway="edge",resource="shop",segment="orders",side="current")";
  const std::string name = "foreshadow_gateway_request_duration_seconds";
  EXPECT_THAT(text, HasSubstr("# TYPE " + name + " histogram\n"));
  EXPECT_THAT(text, HasSubstr(name + "_bucket" + labels + ",le=\"0.0005\"} 0\n" + name + "_bucket" + labels +
                              ",le=\"0.001\"} 90\n"));
  EXPECT_THAT(text, HasSubstr(name + "_bucket" + labels + ",le=\"0.025\"} 99\n"));
  EXPECT_THAT(text, HasSubstr(name + "_bucket" + labels + ",le=\"120\"} 99\n" + name + "_bucket" + labels +
                              ",le=\"+Inf\"} 100\n" + name + "_sum" + labels + "} "));
  EXPECT_THAT(text, HasSubstr(name + "_count" + labels + "} 100\n"));
  EXPECT_THAT(text, HasSubstr("foreshadow_gateway_request_failures_total" + labels + ",reason=\"timeout\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("foreshadow_gateway_request_failures_total" + labels + ",reason=\"client_gone\"} 4\n"));
  EXPECT_THAT(text, HasSubstr("foreshadow_gateway_instance_requests_queued{gateway=\"edge\",resource=\"shop\","
                              "instance=\"shop-a\"} 9\n"));
  EXPECT_THAT(text, HasSubstr("foreshadow_gateway_instance_circuit_open{gateway=\"edge\",resource=\"shop\","
                              "instance=\"shop-a\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("reason=\"queue_full\"} 8\n"));
  EXPECT_THAT(text, HasSubstr("foreshadow_gateway_refused_requests_total{gateway=\"edge\",resource=\"shop\","
                              "segment=\"orders\"} 5\n"));
  EXPECT_THAT(text, HasSubstr("foreshadow_gateway_access_log_dropped_total{gateway=\"edge\",resource=\"shop\"} 6\n"));
}

// The sum is made of the buckets' middles: as exact as they are.
TEST(PrometheusText, a_histogram_knows_its_sum) {
  auto v = view();
  auto& h = v.gateways[0].segments[0].other.latency;
  double truth = 0;
  for (std::uint64_t us = 100; us < 200'000; us += 37) {
    h.record(us);
    truth += static_cast<double>(us) / 1e6;
  }
  const auto text = prometheus_text(v);
  const std::regex sum(R"(request_duration_seconds_sum\{[^\n]*side="other"\} (\S+))");
  std::smatch match;
  ASSERT_TRUE(std::regex_search(text, match, sum));
  EXPECT_NEAR(std::stod(match[1]), truth, truth / 128);
}

// Prometheus's own tool: silent, and content, or this fails.
TEST(PrometheusText, promtool_has_nothing_to_say) {
  foreshadow::testing::TempDir dir;
  std::ofstream(dir / "page") << prometheus_text(view());
  const auto command = "promtool check metrics < " + (dir / "page") + " > " + (dir / "said") + " 2>&1";
  const int status = std::system(command.c_str());
  std::ostringstream said;
  said << std::ifstream(dir / "said").rdbuf();
  EXPECT_EQ(status, 0) << "promtool comes with the Debian package prometheus; `./dev setup` installs it";
  EXPECT_EQ(said.str(), "");
}

TEST(PrometheusText, an_unknown_score_is_absent) {
  const auto text = prometheus_text(view());
  EXPECT_THAT(text, HasSubstr("foreshadow_outlook_known{resource=\"db\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("foreshadow_paused{resource=\"db\"} 1\n"));
  EXPECT_THAT(text, Not(HasSubstr("_ratio{resource=\"db\"")));
}

TEST(PrometheusText, labels_are_escaped) {
  EXPECT_THAT(prometheus_text(view()), HasSubstr(R"(segment="say \"hi\"\\\n")"));
}

TEST(PrometheusText, odd_numbers_and_emptiness) {
  MetricsView v;
  EXPECT_EQ(prometheus_text(v), "");
  v.values = {{"r", "i", "x_bytes", std::numeric_limits<double>::infinity()},
              {"r", "i", "y_bytes", std::numeric_limits<double>::quiet_NaN()},
              {"r", "i", "broken{label", 1},
              {"r", "i", "z_bytes", 1},
              {"r", "i", "z_bytes", 2}};
  const auto text = prometheus_text(v);
  EXPECT_THAT(text, HasSubstr("foreshadow_observed_z_bytes{resource=\"r\",instance=\"i\"} 1\n"));
  EXPECT_THAT(text, Not(HasSubstr("} 2\n")));
  EXPECT_THAT(text, HasSubstr("foreshadow_observed_x_bytes{resource=\"r\",instance=\"i\"} +Inf\n"));
  EXPECT_THAT(text, HasSubstr("} NaN\n"));
  EXPECT_THAT(text, Not(HasSubstr("broken")));
}

// What a scraper demands: each family once, HELP and TYPE before its samples, names in form, counters and only they end
// in _total.
TEST(PrometheusText, follows_the_format) {
  std::istringstream lines(prometheus_text(view()));
  std::string line, family, type;
  std::set<std::string> seen;
  const std::regex sample(R"(^([a-z_][a-z0-9_]*)\{.*\} (\S+)$)"),
      kind(R"(^# TYPE ([a-z_]+) (gauge|counter|histogram)$)"), help(R"(^# HELP ([a-z_0-9]+) .*\.$)");
  std::smatch match;
  while (std::getline(lines, line)) {
    if (std::regex_match(line, match, help)) {
      family = match[1];
      EXPECT_TRUE(seen.insert(family).second) << family;
    } else if (std::regex_match(line, match, kind)) {
      EXPECT_EQ(match[1], family);
      type = match[2];
      EXPECT_EQ(type == "counter", family.ends_with("_total")) << family;
    } else {
      ASSERT_TRUE(std::regex_match(line, match, sample)) << line;
      EXPECT_EQ(type == "histogram" ? match[1].str().substr(0, family.size()) : match[1].str(), family);
    }
  }
  EXPECT_GT(seen.size(), 15U);
}

}  // namespace
}  // namespace foreshadow::publish
