#include "config/load.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "config/complete.hpp"
#include "config/declared_kinds.hpp"

namespace foreshadow::config {
namespace {

TEST(Load, ReadsEverySectionOfACompleteFile) {
  const auto config = parse_declared(kComplete);
  ASSERT_TRUE(config) << config.error().what;
  EXPECT_EQ(config->state_dir, "/etc/foreshadow/state");
  EXPECT_EQ(config->log_level, log::Level::debug);
  EXPECT_EQ(config->gateways, std::vector<std::string>{"edge"});
  EXPECT_EQ(config->threads_of("edge"), 2);
  EXPECT_EQ(config->threads_of("another"), 1);
  EXPECT_EQ(config->agents, std::vector<std::string>{"local"});
  ASSERT_EQ(config->resources.size(), 2U);

  const auto& shop = config->resources[0];
  EXPECT_EQ(shop.resource.id, "shop");
  EXPECT_TRUE(shop.resource.traits.shares_data);
  EXPECT_EQ(shop.resource.primary.endpoint, (Endpoint{"127.0.0.1", 9001}));
  EXPECT_EQ(shop.resource.primary.pid_file, "/etc/foreshadow/shop-a.pid");
  EXPECT_EQ(shop.resource.primary.attributes.at("cgroup"), "/sys/fs/cgroup/shop-a");
  ASSERT_EQ(shop.resource.segments.size(), 2U);
  EXPECT_EQ(shop.resource.segments[1], (Segment{.id = "orders", .writes = true, .honours_mirror_mark = true}));
  EXPECT_EQ(shop.resource.gateways, std::vector<std::string>{"edge"});
  EXPECT_EQ(shop.options.at("health_path"), "/healthz");
  EXPECT_TRUE(shop.agent.empty());

  EXPECT_EQ(shop.listener.resource, "shop");
  EXPECT_EQ(shop.listener.listen, (Endpoint{"127.0.0.1", 8080}));
  EXPECT_EQ(shop.listener.segments, shop.resource.segments);
  ASSERT_EQ(shop.listener.matches.size(), 2U);
  EXPECT_EQ(shop.listener.matches[0].conditions.at("path"), "/products/**");
  EXPECT_EQ(shop.listener.primary, shop.resource.primary);
  EXPECT_EQ(shop.listener.connections_max, 500);
  EXPECT_EQ(shop.listener.idle_timeout, Millis{30'000});
  EXPECT_EQ(shop.listener.header_timeout, Millis{5'000});
  EXPECT_EQ(shop.listener.upstream_timeout, Millis{20'000});
  EXPECT_EQ(shop.listener.header_bytes_max, 16U << 10);
  EXPECT_EQ(shop.listener.body_spool_max, 256U << 10);
  EXPECT_EQ(shop.listener.parked_max, 200);
  const auto& limits = shop.listener.limits;
  EXPECT_EQ(limits.at_once_max, 100);
  EXPECT_EQ(limits.queued_max, 50);
  EXPECT_EQ(limits.release_concurrency, 20);
  EXPECT_EQ(limits.queue_timeout, Millis{2'000});
  EXPECT_EQ(limits.breaker.consecutive, 4);
  EXPECT_EQ(limits.breaker.open, Millis{200});
  EXPECT_EQ(limits.breaker.open_max, Millis{2'000});
  EXPECT_EQ(limits.outlier.consecutive, 6);
  EXPECT_DOUBLE_EQ(limits.outlier.share, 0.2);
  EXPECT_EQ(limits.outlier.volume_min, 30);
  EXPECT_EQ(limits.outlier.interval, Millis{20'000});
  EXPECT_EQ(limits.outlier.open, Millis{3'000});
  EXPECT_EQ(limits.outlier.open_max, Millis{60'000});
  EXPECT_EQ(shop.listener.options, shop.options);

  EXPECT_EQ(shop.observe.interval, Millis{250});
  EXPECT_EQ(shop.observe.stale_after, Millis{2'000});
  EXPECT_EQ(shop.observe.retention, Millis{3'600'000});
  EXPECT_EQ(shop.observe.calendar, "/etc/foreshadow/calendar.yaml");
  ASSERT_EQ(shop.observe.signals.size(), 5U);
  EXPECT_EQ(shop.observe.signals[0].limit, (Limit{96.0 * 1024 * 1024, Direction::rising, true}));
  EXPECT_EQ(shop.observe.signals[1].limit, (Limit{12.0 * 1024 * 1024, Direction::falling, true}));
  EXPECT_EQ(shop.observe.signals[2].limit, (Limit{0.5, Direction::rising, false}));
  EXPECT_EQ(shop.observe.signals[3].limit, (Limit{0.01, Direction::rising, false}));
  EXPECT_FALSE(shop.observe.signals[4].limit);

  Policy policy;
  policy.autonomy = Autonomy::act;
  policy.approval_required = true;
  policy.handover_enabled = false;
  policy.shadowing = {0.5, Millis{30'000}};
  policy.critical = {0.8, Millis{12'000}};
  policy.hysteresis = 0.15;
  policy.recede_after = Millis{300'000};
  policy.shift_max = 0.4;
  policy.mirror_fraction = 1.0;
  policy.reverse_mirror_fraction = 0.5;
  policy.canary = {0.01, Millis{250}, 0.05, 0.02, 0.01, 60};
  policy.hold = {Millis{2'000}, Millis{250}, Millis{4'000}, 7, Millis{2'000}};
  policy.failover = {true, Millis{3'000}, 64 << 10};
  policy.budget = {3, 2, Millis{60'000}};
  policy.bounds = {0.1, 0.7, 0.6, 0.9};
  policy.provision_timeout = Millis{60'000};
  policy.replicate_timeout = Millis{120'000};
  policy.counterfactual_max = Millis{180'000};
  policy.load_ratio_min = 0.8;
  policy.retirement = Retirement::rebuild;
  policy.freeze_share = 0.4;
  EXPECT_EQ(shop.policy, policy);

  const auto* command = std::get_if<CommandProvision>(&shop.provision);
  ASSERT_NE(command, nullptr);
  EXPECT_EQ(command->argv, (std::vector<std::string>{"/etc/foreshadow/provision.sh", "up"}));
  EXPECT_EQ(command->destroy, (std::vector<std::string>{"/etc/foreshadow/provision.sh", "down"}));
  EXPECT_EQ(command->working_dir, "/etc/foreshadow");
  EXPECT_EQ(command->timeout, Millis{30'000});

  const auto& ledger = config->resources[1];
  EXPECT_EQ(ledger.resource.primary.endpoint, (Endpoint{"/run/pg", 5432}));
  EXPECT_EQ(ledger.resource.primary.data_dir, "/srv/pg");
  EXPECT_EQ(ledger.resource.segments[0].staleness_max, Millis{5'000});
  EXPECT_EQ(ledger.options.at("password_file"), "/etc/foreshadow/pgpass");
  EXPECT_EQ(ledger.agent, "local");
  EXPECT_EQ(ledger.policy, Policy{});
  const auto* terraform = std::get_if<TerraformProvision>(&ledger.provision);
  ASSERT_NE(terraform, nullptr);
  EXPECT_EQ(terraform->dir, "/etc/foreshadow/infra/");
  EXPECT_EQ(terraform->binary, "/etc/foreshadow/bin/tofu");
  EXPECT_EQ(terraform->variables.at("size"), "2");
}

TEST(Load, AnUnconfiguredResourceIsOnlyObserved) {
  const auto config = parse_declared(
      "version: 1\nstate_dir: /s\nresources:\n  - {name: a, kind: http, primary: {id: a1, address: \"[::1]:80\"}}\n");
  ASSERT_TRUE(config) << config.error().what;
  const auto& a = config->resources[0];
  EXPECT_EQ(a.policy.autonomy, Autonomy::observe);
  EXPECT_EQ(a.resource.primary.endpoint, (Endpoint{"::1", 80}));
  EXPECT_EQ(a.listener.listen.port, 0);
  // All work is one segment that writes: nothing is moved early by mistake.
  ASSERT_EQ(a.resource.segments.size(), 1U);
  EXPECT_TRUE(a.resource.segments[0].writes);
  EXPECT_EQ(a.observe.stale_after, 4 * a.observe.interval);
  EXPECT_TRUE(std::holds_alternative<std::monostate>(a.provision));
}

TEST(Load, AnAliasStandsForItsValue) {
  const auto config = parse_declared(R"(version: 1
state_dir: /s
resources:
  - {name: a, kind: http, primary: {id: a1, address: "h:80"}, policy: &calm {recede_after: 7m}}
  - {name: b, kind: http, primary: {id: b1, address: "h:81"}, policy: *calm}
)");
  ASSERT_TRUE(config) << config.error().what;
  EXPECT_EQ(config->resources[1].policy.recede_after, Millis{420'000});
}

TEST(Load, PathsAreSeenFromTheFile) {
  auto dir = std::filesystem::temp_directory_path() / ("fs-config-" + std::to_string(::getpid()));
  std::filesystem::create_directories(dir);
  const auto file = (dir / "f.yaml").string();
  std::ofstream(file) << "version: 1\nstate_dir: ../state\nresources:\n  - {name: a, kind: http, primary: {id: a1, "
                         "address: \"h:80\"}}\n";
  const auto config = load(file, declared_kinds());
  std::filesystem::remove_all(dir);
  ASSERT_TRUE(config) << config.error().what;
  EXPECT_EQ(config->state_dir, (dir.parent_path() / "state").string());
}

TEST(Load, AMissingFileIsNamed) {
  const auto config = load("/nonexistent/f.yaml", declared_kinds());
  ASSERT_FALSE(config);
  EXPECT_EQ(config.error().code, Code::unreachable);
  EXPECT_NE(config.error().what.find("/nonexistent/f.yaml"), std::string::npos);
}

}  // namespace
}  // namespace foreshadow::config
