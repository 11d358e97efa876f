#include "decide/failover.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <utility>
#include <vector>

#include "decide/state_json.hpp"
#include "decide/story.hpp"

namespace foreshadow::decide {
namespace {

Policy failover_policy() {
  auto policy = Story::act_policy();
  policy.failover.enabled = true;
  policy.failover.restart_grace = Millis{2000};
  return policy;
}

// A database with a shadow that follows it, and a primary that is about to die.
struct Death : Story {
  explicit Death(Policy p = failover_policy()) : Story(false, p) {
    to_mirroring();
    follows();
  }
  void follows() {
    Evidence e;
    e.lag = Millis{10};
    e.gateways = {{"edge", "edge#1"}};
    tell(e);
  }
  void seen(std::optional<bool> alive) { tell(InstanceSeen{l().current.id, alive, "nobody answers"}); }
  // Dead, at one look a second.
  void dead_for(int seconds) {
    for (int i = 0; i <= seconds; ++i) {
      if (i > 0) now += Millis{1000};
      seen(false);
    }
  }
  void held_abandoned() {
    ASSERT_NE(open<Hold>(), nullptr);
    EXPECT_TRUE(body<Hold>().abandon);
    held();
  }
  void to_assessing() {
    dead_for(2);
    held_abandoned();
    answer<Seal>();
    answer<Fence>();
  }
  void assessed(const std::string& lost_bytes = "0") {
    EffectDone done;
    done.detail = "assessed";
    done.facts = {{"lost_bytes", lost_bytes}, {"xmax", "730"}};
    answer<Assess>(done);
  }
  std::string last_page() const {
    for (auto it = effects.rbegin(); it != effects.rend(); ++it)
      if (const auto* page = std::get_if<Page>(&it->body)) return page->text;
    return "";
  }
};

TEST(Failover, a_dead_primary_with_a_shadow_that_follows_is_replaced_and_follows_in_turn) {
  Death s;
  s.to_assessing();
  EXPECT_EQ(s.body<Assess>().loss_max_bytes, 0U);
  s.assessed();
  s.answer<Promote>();
  ASSERT_NE(s.open<Steer>(), nullptr);
  EXPECT_EQ(s.body<Steer>().table.epoch, 1U);
  EXPECT_EQ(s.body<Steer>().table.facts, (Facts{{"xmax", "730"}})) << "what was lost is no business of the gateways";
  s.settle_steers();
  EXPECT_EQ(s.l().current.id, "new");
  ASSERT_NE(s.open<Rejoin>(), nullptr);
  ASSERT_TRUE(s.l().unlabelled);
  EXPECT_TRUE(s.l().unlabelled->failed_at);
  s.tell(OutcomeRecorded{*s.l().unlabelled});
  s.answer<Rejoin>();
  s.settle_steers();
  EXPECT_EQ(s.l().phase, Phase::observing) << "there is nothing to watch for in one that has failed";
  ASSERT_TRUE(s.l().standby);
  EXPECT_EQ(s.l().standby->id, "old");
  EXPECT_FALSE(s.l().failover.under_way);
}

TEST(Failover, nothing_is_proven_equal_and_no_drain_is_waited_for) {
  Death s;
  s.to_assessing();
  EXPECT_EQ(s.started<ProveEqual>() + s.started<CheckFenced>() + s.started<Prepare>(), 0);
}

TEST(Failover, its_supervisor_may_bring_it_back) {
  Death s;
  s.dead_for(1);
  EXPECT_EQ(s.started<Hold>(), 0);
  EXPECT_EQ(s.started<Page>(), 0) << "nobody is called for two seconds";
  s.seen(true);
  s.now += Millis{5000};
  s.seen(false);
  EXPECT_EQ(s.started<Hold>(), 0) << "the count begins anew";
}

TEST(Failover, only_the_look_of_this_moment_begins_it) {
  Death s;
  s.seen(false);
  s.pass(Millis{60'000});
  EXPECT_EQ(s.started<Hold>(), 0) << "nobody has looked for a minute";
  s.seen(false);
  EXPECT_NE(s.open<Hold>(), nullptr);
}

TEST(Failover, one_that_answers_again_before_the_fence_is_left_alone) {
  using Step = std::pair<const char*, std::function<void(Death&)>>;
  const std::vector<Step> steps{{"holding", [](Death&) {}}, {"sealing", [](Death& s) { s.held(); }}};
  for (std::size_t cut = 0; cut < steps.size(); ++cut) {
    SCOPED_TRACE(steps[cut].first);
    Death s;
    s.dead_for(2);
    for (std::size_t i = 0; i <= cut; ++i) steps[i].second(s);
    s.seen(true);
    if (s.open<Hold>()) s.held();
    if (s.open<Seal>()) s.answer<Seal>();
    s.answer<Release>();
    EXPECT_EQ(s.started<Fence>(), 0);
    EXPECT_EQ(s.l().phase, Phase::shifting);
    EXPECT_TRUE(s.l().shadow);
    EXPECT_EQ(s.l().epoch, 0U);
  }
}

// What forbids one that nobody asked for; each is told, with the command.
TEST(Failover, by_itself_only_with_leave) {
  using Change = std::pair<const char*, std::function<void(Policy&)>>;
  const std::vector<Change> changes{{"switched off", [](Policy& p) { p.failover.enabled = false; }},
                                    {"a person must ask", [](Policy& p) { p.autonomy = Autonomy::advise; }},
                                    {"a person must ask", [](Policy& p) { p.approval_required = true; }},
                                    {"budget", [](Policy& p) { p.budget.handovers_per_day = 0; }}};
  for (const auto& [why, change] : changes) {
    SCOPED_TRACE(why);
    auto policy = failover_policy();
    change(policy);
    Death s;
    s.tell(PolicySet{s.resource, policy});
    s.dead_for(5);
    EXPECT_EQ(s.started<Hold>(), 0);
    EXPECT_NE(s.last_page().find(why), std::string::npos) << s.last_page();
    EXPECT_NE(s.last_page().find("foreshadow failover db"), std::string::npos) << s.last_page();
    s.tell(Command{Verb::failover, "ann", ""});
    EXPECT_NE(s.open<Hold>(), nullptr) << "a person may";
  }
}

TEST(Failover, without_a_shadow_a_person_is_told_and_nothing_is_copied_from_the_dead) {
  Story s(false, failover_policy());
  for (int i = 0; i < 5; ++i) {
    s.tell(InstanceSeen{"old", false, "nobody answers"});
    s.outlook(1, 1, Millis{1000});
    s.now += Millis{1000};
  }
  EXPECT_EQ(s.started<Provision>() + s.started<Hold>(), 0);
  ASSERT_EQ(s.started<Page>(), 1) << "once";
  s.tell(Command{Verb::failover, "ann", ""});
  EXPECT_EQ(s.started<Hold>(), 0);
}

TEST(Failover, a_shadow_that_nobody_saw_follow_is_not_taken_by_itself) {
  Death s;
  s.now += Millis{30'000};
  s.dead_for(5);
  EXPECT_EQ(s.started<Hold>(), 0);
  EXPECT_NE(s.last_page().find("follow"), std::string::npos) << s.last_page();
}

TEST(Failover, a_doubt_whether_it_is_dead_calls_a_person) {
  Death s;
  s.seen(std::nullopt);
  EXPECT_EQ(s.started<Page>(), 1);
  s.now += Millis{10'000};
  s.seen(std::nullopt);
  EXPECT_EQ(s.started<Hold>(), 0);
}

TEST(Failover, a_silent_gateway_forbids_it_to_everybody) {
  Death s;
  s.resource.gateways = {"edge"};
  s.tell(PolicySet{s.resource, s.policy});
  for (int i = 0; i < 2; ++i) {
    Evidence e;
    e.lag = Millis{10};
    s.tell(e);
  }
  s.settle_steers();
  s.dead_for(3);
  s.settle_steers();
  s.tell(Command{Verb::failover, "ann", ""});
  EXPECT_EQ(s.started<Hold>(), 0);
  EXPECT_NE(s.last_page().find("edge does not answer"), std::string::npos) << s.last_page();
  EXPECT_FALSE(s.l().failover.wanted) << "asked for once is tried once";
}

TEST(Failover, sessions_that_cannot_move_have_lost_their_server_anyway) {
  Death s;
  Evidence e;
  e.unmovable = {{"temporary table", 2}};
  e.lag = Millis{10};
  s.tell(e);
  s.dead_for(2);
  EXPECT_NE(s.open<Hold>(), nullptr);
}

TEST(Failover, a_hold_that_fails_is_tried_again_for_as_long_as_it_is_dead) {
  Death s;
  s.dead_for(2);
  for (int i = 0; i < 20; ++i) {
    ASSERT_NE(s.open<Hold>(), nullptr) << i;
    s.refuse<Hold>(Code::unreachable, "edge does not answer");
    s.answer<Release>();
    s.pass(s.policy.hold.retry_after + Millis{1});
  }
  EXPECT_GE(s.started<Page>(), 1);
  EXPECT_EQ(s.l().handovers.size(), 1U) << "it counts once";
}

TEST(Failover, more_loss_than_allowed_goes_back_and_says_the_command) {
  Death s;
  s.to_assessing();
  s.refuse<Assess>(Code::refused,
                   "3 commits are lost. To go on without it: foreshadow failover db --accept-data-loss 96");
  EXPECT_NE(s.last_page().find("foreshadow failover db --accept-data-loss 96"), std::string::npos) << s.last_page();
  ASSERT_NE(s.open<Revive>(), nullptr) << "that loses nothing";
  EXPECT_EQ(s.started<Release>(), 0) << "sealed until then";
  for (int i = 0; i < 3; ++i) {
    s.refuse<Revive>(Code::io, "its disk cannot be read");
    s.pass(Millis{2001});
  }
  s.answer<Release>();
  EXPECT_EQ(s.started<Promote>(), 0);
  EXPECT_EQ(s.l().phase, Phase::shifting);
  EXPECT_TRUE(s.l().shadow) << "the only other copy is kept";
  s.now += Millis{60'000};
  s.dead_for(5);
  EXPECT_EQ(s.started<Hold>(), 1) << "not again by itself";

  s.tell(Command{Verb::failover, "ann", "", "", 96});
  s.held_abandoned();
  s.answer<Seal>();
  s.answer<Fence>();
  EXPECT_EQ(s.body<Assess>().loss_max_bytes, 96U);
  s.assessed("96");
  s.answer<Promote>();
  s.settle_steers();
  EXPECT_EQ(s.l().current.id, "new");
  EXPECT_EQ(s.started<Rejoin>() + s.started<Retire>(), 0) << "the old disk has what is lost, and nobody else";
  EXPECT_NE(s.last_page().find("not without loss"), std::string::npos) << s.last_page();
  EXPECT_EQ(s.l().failover.loss_accepted_bytes, 0U) << "for this time only";
}

TEST(Failover, a_loss_nobody_can_tell_is_told_as_one) {
  Death s;
  s.to_assessing();
  s.assessed("unknown");
  s.answer<Promote>();
  s.settle_steers();
  EXPECT_EQ(s.started<Rejoin>(), 0);
  EXPECT_NE(s.last_page().find("not without loss"), std::string::npos) << s.last_page();
}

TEST(Failover, the_policy_may_accept_a_loss) {
  auto policy = failover_policy();
  policy.failover.loss_max_bytes = 4096;
  Death s(policy);
  s.to_assessing();
  EXPECT_EQ(s.body<Assess>().loss_max_bytes, 4096U);
}

TEST(Failover, an_assessment_that_nobody_answered_is_asked_for_again) {
  Death s;
  s.to_assessing();
  for (int i = 0; i < 4; ++i) {
    s.refuse<Assess>(Code::timeout);
    s.pass(Millis{501});
    ASSERT_NE(s.open<Assess>(), nullptr) << i;
  }
  s.refuse<Assess>(Code::unreachable, "the shadow is dead");
  EXPECT_NE(s.open<Revive>(), nullptr);
  EXPECT_EQ(s.started<Promote>(), 0);
}

TEST(Failover, a_fence_that_is_not_proven_never_leads_to_a_promotion) {
  Death s;
  s.dead_for(2);
  s.held_abandoned();
  s.answer<Seal>();
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 3; ++i) {
      ASSERT_NE(s.open<Fence>(), nullptr) << round;
      s.refuse<Fence>(Code::timeout, "a process remains");
      s.pass(Millis{501});
    }
    for (int i = 0; i < 3; ++i) {
      ASSERT_NE(s.open<Revive>(), nullptr) << round;
      s.refuse<Revive>(Code::timeout, "a process remains");
      s.pass(Millis{2001});
    }
  }
  EXPECT_EQ(s.started<Promote>() + s.started<Assess>(), 0);
  s.answer<Fence>();
  EXPECT_NE(s.open<Assess>(), nullptr);
}

TEST(Failover, a_revived_primary_serves_again_and_the_shadow_is_kept) {
  Death s;
  s.to_assessing();
  s.refuse<Assess>(Code::refused, "more is lost");
  s.answer<Revive>();
  s.answer<Release>();
  EXPECT_EQ(s.l().phase, Phase::shifting);
  EXPECT_EQ(s.l().current.id, "old");
  EXPECT_TRUE(s.l().shadow);
  EXPECT_FALSE(s.l().failover.dead_since);
}

// After a revival that may have let it write, what was assessed before is worth nothing.
TEST(Failover, after_a_revival_that_failed_it_is_assessed_anew) {
  Death s;
  s.to_assessing();
  s.assessed();
  for (int i = 0; i < 4; ++i) {
    s.refuse<Promote>(Code::unreachable);
    s.pass(Millis{501});
  }
  s.refuse<Revive>(Code::timeout);
  s.pass(Millis{501});
  s.answer<Fence>();
  ASSERT_NE(s.open<Assess>(), nullptr);
  s.refuse<Assess>(Code::refused, "it has written meanwhile");
  EXPECT_NE(s.open<Revive>(), nullptr);
  EXPECT_EQ(s.started<Promote>(), 4);
}

TEST(Failover, a_promotion_that_the_agent_knows_of_goes_on) {
  Death s;
  s.to_assessing();
  s.assessed();
  for (int i = 0; i < 4; ++i) {
    s.refuse<Promote>(Code::timeout);
    s.pass(Millis{501});
  }
  s.refuse<Revive>(Code::refused, "a promotion under this epoch was begun");
  s.pass(Millis{501});
  s.answer<Fence>();
  s.refuse<Assess>(Code::conflict, "a promotion was begun");
  ASSERT_NE(s.open<Promote>(), nullptr);
  s.answer<Promote>();
  s.settle_steers();
  EXPECT_EQ(s.l().current.id, "new");
}

TEST(Failover, a_conflict_before_any_assessment_promotes_nobody) {
  Death s;
  s.to_assessing();
  s.refuse<Assess>(Code::conflict, "the shadow takes writes");
  EXPECT_EQ(s.started<Promote>(), 0);
  EXPECT_NE(s.open<Revive>(), nullptr);
}

// Abort wins from every state before the point of no return, the shadow is kept, and it does not begin again by itself.
TEST(Failover, abort_at_every_step_before_the_point_of_no_return) {
  using Step = std::pair<const char*, std::function<void(Death&)>>;
  const std::vector<Step> steps{{"holding", [](Death&) {}},
                                {"sealing", [](Death& s) { s.held(); }},
                                {"fencing", [](Death& s) { s.answer<Seal>(); }},
                                {"assessing", [](Death& s) { s.answer<Fence>(); }}};
  for (std::size_t cut = 0; cut < steps.size(); ++cut) {
    SCOPED_TRACE(steps[cut].first);
    Death s;
    s.dead_for(2);
    for (std::size_t i = 0; i <= cut; ++i) steps[i].second(s);
    ASSERT_STREQ(to_string(s.l().step), steps[cut].first);
    s.tell(Command{Verb::abort, "ann", ""});
    if (s.open<Hold>()) s.refuse<Hold>(Code::cancelled);
    if (s.open<Seal>()) s.answer<Seal>();
    if (s.open<Fence>()) s.answer<Fence>();
    if (s.open<Assess>()) s.assessed();
    for (int i = 0; i < 3 && s.open<Revive>(); ++i) {
      s.refuse<Revive>(Code::io, "its disk cannot be read");
      s.pass(Millis{2001});
    }
    s.answer<Release>();
    EXPECT_EQ(s.started<Promote>(), 0);
    EXPECT_EQ(s.l().phase, Phase::shifting);
    EXPECT_TRUE(s.l().shadow);
    s.now += Millis{60'000};
    s.dead_for(5);
    EXPECT_EQ(s.started<Hold>(), 1);
  }
}

TEST(Failover, a_standby_in_waiting_takes_over) {
  Death s;
  s.to_assessing();
  s.assessed();
  s.answer<Promote>();
  s.settle_steers();
  s.tell(OutcomeRecorded{*s.l().unlabelled});
  s.answer<Rejoin>();
  s.settle_steers();
  ASSERT_EQ(s.l().phase, Phase::observing);
  s.outlook(0.1, 0.0);
  s.now += s.policy.budget.cooldown + Millis{1};
  s.follows();
  s.dead_for(2);
  ASSERT_NE(s.open<Hold>(), nullptr);
  EXPECT_EQ(s.body<Hold>().next_epoch, 2U);
  s.held();
  s.answer<Seal>();
  EXPECT_EQ(s.body<Fence>().primary.id, "new");
  s.answer<Fence>();
  s.assessed();
  s.answer<Promote>();
  s.settle_steers();
  EXPECT_EQ(s.l().current.id, "old");
  EXPECT_FALSE(s.l().standby) << "it serves, so it is nobody's standby";
}

TEST(Failover, one_within_the_cooldown_waits_for_a_person) {
  Death s;
  s.to_assessing();
  s.assessed();
  s.answer<Promote>();
  s.settle_steers();
  s.tell(OutcomeRecorded{*s.l().unlabelled});
  s.answer<Rejoin>();
  s.settle_steers();
  s.follows();
  s.dead_for(5);
  EXPECT_EQ(s.started<Hold>(), 1);
  EXPECT_NE(s.last_page().find("foreshadow failover db"), std::string::npos) << s.last_page();
}

// The old primary is watched because its own end was foreseen: it takes over again only if a person says so.
TEST(Failover, back_to_a_doomed_primary_only_by_a_person) {
  Story s(false, failover_policy());
  s.to_watching();
  ASSERT_EQ(s.l().phase, Phase::watching);
  for (int i = 0; i < 5; ++i) {
    s.tell(InstanceSeen{"new", false, "nobody answers"});
    s.now += Millis{1000};
  }
  const auto holds = s.started<Hold>();
  s.tell(Command{Verb::failover, "ann", ""});
  EXPECT_EQ(s.started<Hold>(), holds + 1);
  s.held();
  s.answer<Seal>();
  EXPECT_EQ(s.body<Fence>().primary.id, "new");
  EXPECT_EQ(s.body<Fence>().shadow.id, "old");
}

TEST(Failover, a_command_during_a_handover_is_not_kept_for_the_next_primary) {
  Story s(false, failover_policy());
  s.to_holding();
  s.tell(Command{Verb::failover, "ann", ""});
  EXPECT_FALSE(s.l().failover.wanted);
  EXPECT_GE(s.started<Page>(), 1);
}

TEST(Failover, the_plan_says_what_would_be_done) {
  Death s;
  const auto lines = explain_now(s.state, Story::name);
  const auto said = [&](const std::string& words) {
    return std::any_of(lines.begin(), lines.end(),
                       [&](const auto& line) { return line.find(words) != std::string::npos; });
  };
  EXPECT_TRUE(said("should old die unforeseen: fail over to new"));
}

TEST(Failover, it_survives_a_snapshot) {
  Death s;
  s.to_assessing();
  const auto image = decode_state(encode_state(s.state));
  ASSERT_TRUE(image) << image.error().what;
  EXPECT_EQ(*image, s.state);
}

}  // namespace
}  // namespace foreshadow::decide
