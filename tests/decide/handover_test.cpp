#include "decide/handover.hpp"

#include <functional>
#include <utility>

#include "decide/state_json.hpp"
#include "decide/story.hpp"

namespace foreshadow::decide {
namespace {

TEST(Handover, a_hold_over_budget_is_released_and_tried_again_later) {
  Story s;
  s.to_holding();
  s.refuse<Hold>(Code::timeout, "work in flight did not end");
  EXPECT_EQ(s.l().step, HandoverStep::releasing);
  s.answer<Release>();
  EXPECT_EQ(s.open<Hold>(), nullptr);
  s.pass(s.policy.hold.retry_after + Millis{1});
  EXPECT_NE(s.open<Hold>(), nullptr);
}

TEST(Handover, holds_that_never_succeed_end_with_clients_on_the_old_side_and_a_page) {
  Story s;
  s.to_holding();
  for (int i = 0; i < s.policy.hold.attempts_max; ++i) {
    ASSERT_NE(s.open<Hold>(), nullptr) << i;
    s.refuse<Hold>(Code::timeout);
    s.answer<Release>();
    s.pass(s.policy.hold.retry_after + Millis{1});
  }
  EXPECT_EQ(s.l().phase, Phase::shifting);
  EXPECT_EQ(s.l().current.id, "old");
  EXPECT_EQ(s.l().epoch, 0U);
  EXPECT_GE(s.started<Page>(), 1);
}

TEST(Handover, no_equality_means_release) {
  Story s;
  s.to_holding();
  s.held();
  s.refuse<ProveEqual>(Code::timeout);
  EXPECT_NE(s.open<Release>(), nullptr);
  EXPECT_EQ(s.started<Fence>(), 0);
}

TEST(Handover, a_refused_seal_means_release) {
  Story s;
  s.to_holding();
  s.held();
  s.proven();
  s.refuse<Seal>(Code::refused, "the lease has lapsed");
  EXPECT_NE(s.open<Release>(), nullptr);
  EXPECT_EQ(s.started<Fence>(), 0);
}

TEST(Handover, a_commit_past_the_proof_brings_the_old_primary_back) {
  Story s;
  s.to_holding();
  s.held();
  s.proven();
  s.answer<Seal>();
  s.answer<Fence>();
  s.refuse<CheckFenced>(Code::conflict, "a commit was found past the proof");
  ASSERT_NE(s.open<Revive>(), nullptr);
  EXPECT_EQ(s.open<Release>(), nullptr) << "sealed until the old primary runs";
  s.answer<Revive>();
  ASSERT_NE(s.open<Release>(), nullptr);
  s.answer<Release>();
  EXPECT_EQ(s.l().phase, Phase::shifting);
  EXPECT_EQ(s.started<Promote>(), 0);
}

TEST(Handover, an_unreadable_log_makes_no_claim) {
  Story s;
  s.to_holding();
  s.held();
  s.proven();
  s.answer<Seal>();
  s.answer<Fence>();
  s.refuse<CheckFenced>(Code::io, "pg_waldump: could not read");
  EXPECT_NE(s.open<Revive>(), nullptr);
  EXPECT_EQ(s.started<Promote>(), 0);
}

TEST(Handover, after_a_found_commit_the_way_is_only_back_however_often_revival_fails) {
  Story s;
  s.to_holding();
  s.held();
  s.proven();
  s.answer<Seal>();
  s.answer<Fence>();
  s.refuse<CheckFenced>(Code::conflict);
  for (int i = 0; i < 5; ++i) {
    ASSERT_NE(s.open<Revive>(), nullptr) << i;
    s.refuse<Revive>(Code::io, "no space left on device");
    s.pass(Millis{2001});
  }
  EXPECT_EQ(s.started<Promote>() + s.started<Fence>() - 1, 0);
}

TEST(Handover, an_unproven_fence_on_a_full_volume_goes_forward_only_once_it_is_proven) {
  Story s;
  s.to_holding();
  s.held();
  s.proven();
  s.answer<Seal>();
  for (int i = 0; i < 3; ++i) {
    s.refuse<Fence>(Code::io, "a process remains");
    s.pass(Millis{501});
  }
  ASSERT_NE(s.open<Revive>(), nullptr);
  s.refuse<Revive>(Code::io, "no space left on device");
  s.pass(Millis{501});
  ASSERT_NE(s.open<Fence>(), nullptr);
  EXPECT_EQ(s.started<Promote>(), 0);
  s.answer<Fence>();
  s.answer<CheckFenced>();
  EXPECT_NE(s.open<Promote>(), nullptr);
}

void fail_to_promote(Story& s, Code code = Code::unreachable) {
  s.to_holding();
  s.held();
  s.proven();
  s.answer<Seal>();
  s.answer<Fence>();
  s.answer<CheckFenced>();
  for (int i = 0; i < 4; ++i) {
    ASSERT_NE(s.open<Promote>(), nullptr) << i;
    EXPECT_EQ(s.started<Revive>(), 0) << i;
    s.refuse<Promote>(code);
    s.pass(Millis{501});
  }
  ASSERT_NE(s.open<Revive>(), nullptr);
  EXPECT_EQ(s.started<Release>(), 0) << "sealed until the old primary runs";
}

TEST(Handover, a_shadow_that_cannot_be_promoted_is_given_back_and_clients_to_the_old_primary) {
  Story s;
  fail_to_promote(s);
  s.answer<Revive>();
  s.answer<Release>();
  s.settle_steers();
  EXPECT_EQ(s.l().phase, Phase::withdrawing) << "tried again it would fence the primary once more for nothing";
  EXPECT_EQ(s.l().current.id, "old");
}

TEST(Handover, a_promotion_in_doubt_is_never_taken_back_while_the_agent_refuses) {
  for (const Code code : {Code::timeout, Code::io, Code::unreachable}) {
    Story s;
    fail_to_promote(s, code);
    for (int round = 0; round < 5; ++round) {
      s.refuse<Revive>(Code::refused, "a promotion under this epoch was begun");
      s.pass(Millis{501});
      s.answer<Fence>();
      s.answer<CheckFenced>();
      for (int i = 0; i < 4; ++i) {
        s.refuse<Promote>(code);
        s.pass(Millis{501});
      }
      ASSERT_NE(s.open<Revive>(), nullptr) << "a revival that failed once, for whatever reason, is asked for again";
    }
    EXPECT_EQ(s.started<Release>(), 0);
    s.answer<Revive>();
    EXPECT_NE(s.open<Release>(), nullptr);
  }
}

TEST(Handover, an_abort_while_promoting_counts_as_soon_as_the_promotion_has_failed) {
  Story s;
  s.to_holding();
  s.held();
  s.proven();
  s.answer<Seal>();
  s.answer<Fence>();
  s.answer<CheckFenced>();
  s.tell(Command{Verb::abort, "ann", ""});
  ASSERT_NE(s.open<Promote>(), nullptr) << "what may have happened is let finish";
  s.refuse<Promote>();
  ASSERT_NE(s.open<Revive>(), nullptr);
  s.answer<Revive>();
  s.answer<Release>();
  EXPECT_EQ(s.l().phase, Phase::withdrawing);
}

TEST(Handover, an_abort_while_promoting_that_succeeds_ends_with_it) {
  Story s;
  s.to_holding();
  s.held();
  s.proven();
  s.answer<Seal>();
  s.answer<Fence>();
  s.answer<CheckFenced>();
  s.tell(Command{Verb::abort, "ann", ""});
  s.answer<Promote>();
  s.settle_steers();
  EXPECT_EQ(s.l().phase, Phase::watching);
  EXPECT_FALSE(s.l().aborting) << "the watch is not what was aborted";
}

TEST(Handover, a_gateway_that_misses_the_switch_is_told_until_it_has_it) {
  Story s(true);
  s.to_holding();
  s.held();
  s.proven();
  s.answer<Seal>();
  EXPECT_EQ(s.l().step, HandoverStep::switching);
  s.refuse<Steer>(Code::unreachable);
  s.pass(Millis{101});
  ASSERT_NE(s.open<Steer>(), nullptr);
  EXPECT_EQ(s.body<Steer>().table.epoch, 1U);
  EXPECT_EQ(s.started<Release>(), 0);
  s.answer<Steer>();
  EXPECT_EQ(s.l().phase, Phase::watching);
}

// Abort wins from every state before the point of no return, and clients end on the old side.
TEST(Handover, abort_at_every_step_before_the_point_of_no_return) {
  using Step = std::pair<const char*, std::function<void(Story&)>>;
  const std::vector<Step> steps{
      {"holding", [](Story& s) { s.prepared(); }},
      {"proving", [](Story& s) { s.held(); }},
      {"sealing", [](Story& s) { s.proven(); }},
      {"fencing", [](Story& s) { s.answer<Seal>(); }},
      {"checking", [](Story& s) { s.answer<Fence>(); }},
  };
  for (std::size_t cut = 0; cut < steps.size(); ++cut) {
    SCOPED_TRACE(steps[cut].first);
    Story s;
    s.to_holding();
    for (std::size_t i = 0; i <= cut; ++i) steps[i].second(s);
    ASSERT_STREQ(to_string(s.l().step), steps[cut].first);
    s.tell(Command{Verb::abort, "ann", ""});
    // What is under way answers: successfully or told to stop, both must lead back.
    if (s.open<Hold>()) s.refuse<Hold>(Code::cancelled);
    if (s.open<ProveEqual>()) s.refuse<ProveEqual>(Code::cancelled);
    if (s.open<Seal>()) s.answer<Seal>();
    if (s.open<Fence>()) s.answer<Fence>();
    if (s.open<CheckFenced>()) s.answer<CheckFenced>();
    if (s.open<Revive>()) s.answer<Revive>();
    s.answer<Release>();
    s.settle_steers();
    EXPECT_EQ(s.started<Promote>(), 0);
    EXPECT_EQ(s.l().current.id, "old");
    EXPECT_EQ(s.l().epoch, 0U);
    EXPECT_EQ(s.l().phase, Phase::withdrawing);
    s.answer<Retire>();
    EXPECT_EQ(s.l().phase, Phase::observing);
    EXPECT_TRUE(s.l().cooldown_until);
  }
}

TEST(Handover, nobody_waits_while_it_is_prepared_and_an_abort_then_costs_nothing) {
  Story s;
  s.to_shifting();
  ASSERT_NE(s.open<Prepare>(), nullptr);
  EXPECT_EQ(s.body<Prepare>().next_epoch, 1U);
  EXPECT_EQ(s.l().step, HandoverStep::preparing);
  EXPECT_TRUE(s.l().handovers.empty());
  s.tell(Command{Verb::abort, "ann", ""});
  s.refuse<Prepare>(Code::cancelled);
  EXPECT_EQ(s.started<Hold>(), 0);
  EXPECT_EQ(s.started<Release>(), 0);
  EXPECT_EQ(s.l().phase, Phase::withdrawing);
}

TEST(Handover, what_speaks_against_it_is_said_before_anybody_waits) {
  Story s;
  s.to_shifting();
  s.refuse<Prepare>(Code::refused, "table carts is unlogged and has rows");
  EXPECT_EQ(s.started<Hold>(), 0);
  EXPECT_EQ(s.l().phase, Phase::shifting);
  EXPECT_TRUE(s.l().handovers.empty()) << "it costs nothing of the budget";
  EXPECT_NE(s.l().blocked_why.find("carts is unlogged"), std::string::npos);
  s.pass(Millis{60'000});
  s.outlook(0.95, 0.9);
  EXPECT_NE(s.open<Prepare>(), nullptr) << "it may have been mended";
}

TEST(Handover, a_primary_too_ill_to_be_prepared_is_left_all_the_same) {
  Story s;
  s.to_shifting();
  s.refuse<Prepare>(Code::timeout, "the checkpoint took too long");
  ASSERT_NE(s.open<Hold>(), nullptr);
  EXPECT_NE(s.open<Hold>()->why.find("unprepared"), std::string::npos);
}

TEST(Handover, facts_of_the_old_epochs_end_travel_with_the_new_table_until_the_next) {
  Story s;
  s.to_holding();
  s.held();
  s.proven();
  s.answer<Seal>();
  s.answer<Fence>();
  EffectDone checked;
  checked.facts = {{"xmax", "731"}};
  s.answer<CheckFenced>(checked);
  EXPECT_TRUE(s.l().table.facts.empty()) << "not before the promotion";
  s.answer<Promote>();
  EXPECT_EQ(s.body<Steer>().table.facts, checked.facts);
  s.settle_steers();
  s.answer<Rejoin>();
  s.settle_steers();
  EXPECT_EQ(s.l().table.facts, checked.facts) << "a gateway that comes later needs them, too";
  EXPECT_EQ(decode_state(encode_state(s.state))->resources.at(Story::name).facts, checked.facts);
  s.tell(Command{Verb::rollback, "ann", ""});
  s.held();
  s.proven();
  s.answer<Seal>();
  s.answer<Fence>();
  s.answer<CheckFenced>();
  s.answer<Promote>();
  EXPECT_TRUE(s.body<Steer>().table.facts.empty());
}

TEST(Handover, abort_past_the_point_of_no_return_is_refused_and_said) {
  Story s;
  s.to_holding();
  s.held();
  s.proven();
  s.answer<Seal>();
  s.answer<Fence>();
  s.answer<CheckFenced>();
  const auto pages = s.started<Page>();
  s.tell(Command{Verb::abort, "ann", ""});
  EXPECT_EQ(s.started<Page>(), pages + 1);
  s.answer<Promote>();
  EXPECT_EQ(s.l().current.id, "new");
}

TEST(Handover, pause_before_the_seal_goes_back_and_keeps_the_shadow) {
  Story s;
  s.to_holding();
  s.tell(Command{Verb::pause, "ann", ""});
  s.held();
  s.answer<Release>();
  EXPECT_EQ(s.l().phase, Phase::shifting);
  EXPECT_TRUE(s.l().shadow);
  s.pass(Millis{60'000});
  s.outlook(0.95, 0.9);
  EXPECT_EQ(s.open<Hold>(), nullptr) << "paused";
  s.tell(Command{Verb::resume, "ann", ""});
  s.outlook(0.95, 0.9);
  s.prepared();
  EXPECT_NE(s.open<Hold>(), nullptr);
}

TEST(Handover, sessions_that_cannot_move_stop_it_and_are_named) {
  Story s;
  s.to_mirroring();
  Evidence e;
  e.unmovable = {{"temporary table", 2}};
  s.tell(e);
  s.outlook(0.95, 0.9);
  EXPECT_EQ(s.open<Hold>(), nullptr);
  EXPECT_NE(s.l().blocked_why.find("temporary table"), std::string::npos);
}

TEST(Handover, rollback_is_the_same_handover_the_other_way) {
  Story s;
  s.to_watching();
  s.tell(Command{Verb::rollback, "ann", ""});
  s.prepared();
  ASSERT_NE(s.open<Hold>(), nullptr);
  EXPECT_EQ(s.body<Hold>().next_epoch, 2U);
  ASSERT_TRUE(s.l().unlabelled);
  s.tell(OutcomeRecorded{*s.l().unlabelled});
  s.held();
  EXPECT_EQ(s.body<ProveEqual>().primary.id, "new");
  EXPECT_EQ(s.body<ProveEqual>().shadow.id, "old");
}

}  // namespace
}  // namespace foreshadow::decide
