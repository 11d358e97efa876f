// Where a resource is served, from whoever still knows, and how to get there past the gateways.
#include <gtest/gtest.h>

#include <algorithm>

#include "app/bypass_marker.hpp"
#include "app/bypass_plan.hpp"
#include "app/whereabouts.hpp"
#include "support/temp_dir.hpp"

namespace foreshadow::app {
namespace {

Instance at(const std::string& id, std::uint16_t port, const std::string& host = "127.0.0.1") {
  Instance i;
  i.id = id;
  i.endpoint = {host, port};
  return i;
}

TEST(Whereabouts, the_highest_epoch_is_right_and_of_several_the_first) {
  const auto where = whereabouts({{"the journal", 2, at("b", 2), {}, {}},
                                  {"gateway a", 3, at("c", 3), {}, {}},
                                  {"gateway b", 3, at("c", 4), {}, {}},
                                  {"the configuration", 0, at("a", 1), {}, {}}});
  ASSERT_TRUE(where);
  EXPECT_EQ(where->current, at("c", 3));
  EXPECT_EQ(where->source, "gateway a");
  EXPECT_EQ(where->doubt, "");
}

TEST(Whereabouts, a_handover_that_was_cut_off_is_in_doubt_and_names_both) {
  const auto where = whereabouts({{"the journal", 2, at("b", 2), 3, at("c", 3)}, {"gateway a", 2, at("b", 2), {}, {}}});
  ASSERT_TRUE(where);
  EXPECT_NE(where->doubt.find("epoch 3"), std::string::npos) << where->doubt;
  EXPECT_NE(where->doubt.find("c at 127.0.0.1:3"), std::string::npos) << where->doubt;
}

TEST(Whereabouts, one_that_somebody_saw_end_is_not) {
  const auto where = whereabouts({{"gateway a", 2, at("b", 2), 3, {}}, {"gateway b", 3, at("c", 3), {}, {}}});
  ASSERT_TRUE(where);
  EXPECT_EQ(where->current.id, "c");
  EXPECT_EQ(where->doubt, "");
}

TEST(Whereabouts, nobody_knowing_is_an_error) {
  EXPECT_EQ(whereabouts({}).error().code, Code::unreachable);
  EXPECT_FALSE(whereabouts({{"gateway a", 0, {}, {}, {}}})) << "an empty table is no place";
}

config::ResourceSettings shop(std::vector<Endpoint> listens) {
  config::ResourceSettings settings;
  settings.resource.id = "shop";
  settings.resource.kind = "http";
  for (std::size_t i = 0; i < listens.size(); ++i) {
    settings.resource.gateways.push_back("g" + std::to_string(i));
    settings.listens["g" + std::to_string(i)] = listens[i];
  }
  return settings;
}
bool has(const std::vector<std::string>& lines, const std::string& text) {
  return std::any_of(lines.begin(), lines.end(),
                     [&](const auto& line) { return line.find(text) != std::string::npos; });
}

TEST(BypassPlan, redirects_what_comes_to_every_gateway) {
  const auto settings = shop({{"127.0.0.1", 8080}, {"0.0.0.0", 8081}});
  const auto plan = plan_bypass("shop-1", {"10.0.0.7", 9001}, &settings);
  EXPECT_TRUE(has(plan.redirect, "nft add table ip foreshadow_bypass_shop_1")) << "a name that nftables takes";
  EXPECT_TRUE(
      has(plan.redirect,
          "output tcp flags & (fin|syn|rst|ack) == syn ip daddr 127.0.0.1 tcp dport 8080 dnat to 10.0.0.7:9001"));
  EXPECT_TRUE(has(plan.redirect, "== syn fib daddr type local tcp dport 8081 dnat to 10.0.0.7:9001"));
  EXPECT_TRUE(has(plan.redirect, "masquerade")) << "answers must come back the same way";
  EXPECT_TRUE(has(plan.undo, "flush chain ip foreshadow_bypass_shop_1 output"));
  EXPECT_EQ(plan.cleanup, (std::vector<std::string>{"nft delete table ip foreshadow_bypass_shop_1"}));
}

TEST(BypassPlan, says_nothing_of_packets_where_it_could_be_wrong) {
  const auto settings = shop({{"127.0.0.1", 8080}});
  EXPECT_TRUE(plan_bypass("shop", {"/run/pg", 5432}, &settings).redirect.empty());
  EXPECT_TRUE(plan_bypass("shop", {"db.internal", 5432}, &settings).redirect.empty());
  EXPECT_TRUE(plan_bypass("shop", {"127.0.0.1", 9001}, nullptr).redirect.empty());
}

TEST(BypassPlan, tells_what_clients_will_miss) {
  auto settings = shop({{"127.0.0.1", 8080}});
  settings.listener.tls.certificates.emplace_back();
  settings.listener.proxy_protocol = true;
  const auto plan = plan_bypass("shop", {"127.0.0.1", 9001}, &settings);
  EXPECT_TRUE(has(plan.changes, "TLS"));
  EXPECT_TRUE(has(plan.changes, "PROXY"));
}

TEST(BypassMarker, the_newest_is_found_until_it_is_forgotten) {
  foreshadow::testing::TempDir dir;
  EXPECT_EQ(left_bypass(dir.path(), "shop").value(), std::nullopt);
  ASSERT_TRUE(leave_bypass(dir.path(), "shop", {Verb::bypass, "ann", "why"}));
  ASSERT_TRUE(leave_bypass(dir.path(), "shop", {Verb::end_bypass, "bob", ""}));
  EXPECT_EQ(left_bypass(dir.path(), "shop").value(), (Command{Verb::end_bypass, "bob", ""}));
  EXPECT_EQ(left_bypass(dir.path(), "till").value(), std::nullopt);
  forget_bypass(dir.path(), "shop");
  EXPECT_EQ(left_bypass(dir.path(), "shop").value(), std::nullopt);
  ASSERT_TRUE(leave_bypass(dir.path(), "shop", {Verb::handover, "eve", ""}));
  EXPECT_FALSE(left_bypass(dir.path(), "shop")) << "a file is not a way to give any command";
}

}  // namespace
}  // namespace foreshadow::app
