#include "decide/guardrails.hpp"

#include "decide/story.hpp"

namespace foreshadow::decide {
namespace {

State crowd(int resources, int bad, bool one_host) {
  State state;
  for (int i = 0; i < resources; ++i) {
    Lifecycle l;
    l.resource.id = "r" + std::to_string(i);
    l.current.id = l.resource.id;
    l.current.failure_domains = {one_host ? "host:a" : "host:" + std::to_string(i)};
    Outlook o;
    o.known = true;
    o.degraded = i < bad;
    l.outlook = o;
    state.resources[l.resource.id] = l;
  }
  return state;
}

TEST(Guardrails, many_domains_bad_at_once_freeze) {
  EXPECT_EQ(correlated_badness(crowd(4, 2, false)), "");
  EXPECT_NE(correlated_badness(crowd(4, 3, false)), "");
}

TEST(Guardrails, one_host_counts_once_and_few_say_nothing) {
  EXPECT_EQ(correlated_badness(crowd(6, 6, true)), "");
  EXPECT_EQ(correlated_badness(crowd(2, 2, false)), "");
}

TEST(Guardrails, the_provision_budget_is_per_day) {
  Story s;
  for (int i = 0; i < s.policy.budget.provisions_per_day; ++i) {
    s.to_provisioning();
    s.refuse<Provision>();
    s.settle_steers();
    s.pass(s.policy.budget.cooldown + Millis{1});
  }
  s.to_provisioning();
  EXPECT_EQ(s.started<Provision>(), s.policy.budget.provisions_per_day);
  EXPECT_NE(s.l().blocked_why.find("budget"), std::string::npos);
  s.pass(std::chrono::days{1});
  s.to_provisioning();
  EXPECT_EQ(s.started<Provision>(), s.policy.budget.provisions_per_day + 1);
}

TEST(Guardrails, too_late_is_said_instead_of_started) {
  Story s;
  s.state.resources.at(Story::name).ready_took = Millis{20'000};
  s.outlook(0.9, 0.5, Millis{12'000});
  EXPECT_EQ(s.started<Provision>(), 0);
  EXPECT_NE(s.l().blocked_why.find("too late"), std::string::npos);
}

TEST(Guardrails, a_handover_that_would_not_help_is_not_made) {
  Story s;
  s.to_mirroring();
  Outlook o = *s.l().outlook;
  for (auto& score : o.scores) score.score = 0.99;
  o.handover_helps = Helps::no;
  s.tell(OutlookMade{o});
  EXPECT_EQ(s.open<Hold>(), nullptr);
  EXPECT_NE(s.l().blocked_why.find("move the problem"), std::string::npos);
}

TEST(Guardrails, handover_switched_off_still_shadows) {
  auto policy = Story::act_policy();
  policy.handover_enabled = false;
  Story s(false, policy);
  s.to_holding();
  EXPECT_EQ(s.open<Hold>(), nullptr);
  EXPECT_TRUE(s.l().shadow);
}

TEST(Guardrails, pause_is_kept_in_the_state_and_holds_everything) {
  Story s;
  s.tell(Command{Verb::pause, "ann", ""}, "");
  s.outlook(0.95, 0.9);
  EXPECT_EQ(s.started<Provision>(), 0);
  EXPECT_TRUE(s.state.paused);
  s.tell(Started{2, "test"}, "");
  s.outlook(0.95, 0.9);
  EXPECT_EQ(s.started<Provision>(), 0) << "a restart does not forget it";
  s.tell(Command{Verb::resume, "ann", ""}, "");
  EXPECT_EQ(s.started<Provision>(), 1);
}

}  // namespace
}  // namespace foreshadow::decide
