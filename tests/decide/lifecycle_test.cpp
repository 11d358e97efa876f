#include "decide/lifecycle.hpp"

#include "decide/state_json.hpp"
#include "decide/story.hpp"

namespace foreshadow::decide {
namespace {

TEST(Lifecycle, calm_resource_does_nothing) {
  Story s;
  s.outlook(0.1, 0.0);
  s.evidence(100);
  EXPECT_EQ(s.l().phase, Phase::observing);
  EXPECT_TRUE(s.effects.empty());
}

TEST(Lifecycle, unknown_outlook_is_neither_healthy_nor_failed) {
  Story s;
  Outlook o;
  o.resource = Story::name;
  o.scores = {{Millis{10'000}, 1, 0, 1}, {Millis{30'000}, 1, 0, 1}};
  s.tell(OutlookMade{o});
  EXPECT_EQ(s.l().phase, Phase::observing);
  EXPECT_TRUE(s.effects.empty());
}

TEST(Lifecycle, goes_through_every_phase_to_a_labelled_outcome) {
  Story s;
  s.to_provisioning();
  EXPECT_EQ(s.l().phase, Phase::provisioning);
  EffectDone provisioned;
  provisioned.instance = Story::shadow();
  s.answer<Provision>(provisioned);
  EXPECT_EQ(s.l().phase, Phase::replicating);
  s.answer<Replicate>();
  EXPECT_EQ(s.l().phase, Phase::mirroring);
  EXPECT_EQ(s.body<Steer>().table.other->id, "new");
  EXPECT_DOUBLE_EQ(s.body<Steer>().table.routes[0].mirror, 1.0);
  EXPECT_DOUBLE_EQ(s.body<Steer>().table.routes[1].mirror, 0.0) << "writes that nobody rolls back are never mirrored";
  s.settle_steers();
  s.evidence(100);
  EXPECT_EQ(s.l().phase, Phase::shifting);
  EXPECT_GT(s.body<Steer>().table.routes[0].other_weight, 0.0);
  EXPECT_EQ(s.body<Steer>().table.routes[1].other_weight, 0.0) << "writes move at the handover";
  s.settle_steers();
  s.outlook(0.95, 0.9, Millis{9'000});
  EXPECT_EQ(s.l().step, HandoverStep::preparing);
  s.prepared();
  EXPECT_EQ(s.l().step, HandoverStep::holding);
  s.held();
  EXPECT_EQ(s.l().step, HandoverStep::proving);
  s.proven();
  EXPECT_EQ(s.l().step, HandoverStep::sealing);
  s.answer<Seal>();
  EXPECT_EQ(s.l().step, HandoverStep::fencing);
  EXPECT_EQ(s.body<Fence>().acks.size(), 1U);
  s.answer<Fence>();
  EXPECT_EQ(s.body<CheckFenced>().proof, "0/16B3748");
  s.answer<CheckFenced>();
  EXPECT_TRUE(past_no_return(s.l()));
  s.answer<Promote>();
  EXPECT_EQ(s.body<Steer>().table.epoch, 1U);
  EXPECT_EQ(s.body<Steer>().table.current.id, "new");
  s.answer<Steer>();
  EXPECT_EQ(s.l().phase, Phase::watching);
  EXPECT_EQ(s.body<Rejoin>().old_primary.id, "old");
  s.answer<Rejoin>();
  s.settle_steers();
  s.tell(CounterfactualSeen{false, {}, 1.0, ""});
  EXPECT_EQ(s.l().phase, Phase::retiring);
  ASSERT_TRUE(s.l().unlabelled);
  EXPECT_TRUE(s.l().unlabelled->failed_at);
  s.tell(OutcomeRecorded{*s.l().unlabelled});
  s.settle_steers();
  EXPECT_TRUE(s.body<Retire>().rebuild) << "a dead old primary is rebuilt";
  s.answer<Retire>();
  EXPECT_EQ(s.l().phase, Phase::observing);
  EXPECT_EQ(s.l().current.id, "new");
}

TEST(Lifecycle, an_old_primary_that_lives_becomes_standby) {
  Story s;
  s.to_watching();
  s.pass(s.policy.counterfactual_max + Millis{1});
  ASSERT_TRUE(s.l().unlabelled);
  EXPECT_TRUE(s.l().unlabelled->watched_out);
  s.tell(OutcomeRecorded{*s.l().unlabelled});
  s.settle_steers();
  EXPECT_EQ(s.l().phase, Phase::observing);
  ASSERT_TRUE(s.l().standby);
  EXPECT_EQ(s.l().standby->id, "old");
  EXPECT_EQ(s.started<Retire>(), 0);
}

TEST(Lifecycle, shared_data_needs_no_fence_and_mirrors_back) {
  Story s(true);
  s.to_watching();
  EXPECT_EQ(s.l().phase, Phase::watching);
  EXPECT_EQ(s.started<Fence>() + s.started<Promote>() + s.started<Rejoin>(), 0);
  EXPECT_EQ(s.l().table.other->id, "old");
  EXPECT_DOUBLE_EQ(s.l().table.routes[1].mirror, 1.0);
}

TEST(Lifecycle, observe_says_what_it_would_do_once_and_does_nothing) {
  auto policy = Story::act_policy();
  policy.autonomy = Autonomy::observe;
  Story s(false, policy);
  for (int i = 0; i < 5; ++i) s.outlook(0.9, 0.9);
  EXPECT_EQ(s.started<Page>(), 1);
  EXPECT_EQ(s.effects.size(), 1U);
}

TEST(Lifecycle, advise_waits_for_a_person) {
  auto policy = Story::act_policy();
  policy.autonomy = Autonomy::advise;
  Story s(false, policy);
  s.outlook(0.6, 0.1);
  EXPECT_EQ(s.started<Provision>(), 0);
  s.tell(Command{Verb::approve, "ann", ""});
  EXPECT_EQ(s.started<Provision>(), 1);
  EffectDone provisioned;
  provisioned.instance = Story::shadow();
  s.answer<Provision>(provisioned);
  s.answer<Replicate>();
  s.settle_steers();
  s.evidence(100);
  EXPECT_EQ(s.l().phase, Phase::mirroring) << "nothing moves before it is approved";
  s.outlook(0.9, 0.9);
  EXPECT_EQ(s.started<Hold>(), 0);
  s.tell(Command{Verb::approve, "ann", ""});
  s.prepared();
  EXPECT_EQ(s.started<Hold>(), 1);
}

TEST(Lifecycle, a_shadow_equal_to_its_primary_is_refused_and_not_destroyed) {
  Story s;
  s.to_provisioning();
  EffectDone provisioned;
  provisioned.instance = s.resource.primary;
  s.answer<Provision>(provisioned);
  s.settle_steers();
  EXPECT_EQ(s.l().phase, Phase::observing);
  EXPECT_EQ(s.started<Retire>(), 0);
  EXPECT_EQ(s.started<Page>(), 1);
}

TEST(Lifecycle, a_failed_provision_costs_nothing_and_cools_down) {
  Story s;
  s.to_provisioning();
  s.refuse<Provision>(Code::invalid, "printed garbage");
  s.settle_steers();
  EXPECT_EQ(s.l().phase, Phase::observing);
  s.to_provisioning();
  EXPECT_EQ(s.started<Provision>(), 1) << "cooling down";
  s.pass(Millis{10'001});
  s.to_provisioning();
  EXPECT_EQ(s.started<Provision>(), 2);
}

TEST(Lifecycle, an_unfit_shadow_is_withdrawn) {
  Story s;
  s.to_mirroring();
  s.evidence(100, 60);
  s.settle_steers();
  EXPECT_EQ(s.l().phase, Phase::withdrawing);
  EXPECT_FALSE(s.body<Retire>().rebuild);
  EXPECT_FALSE(s.body<Retire>().key.empty());
  s.answer<Retire>();
  EXPECT_EQ(s.l().phase, Phase::observing);
  EXPECT_FALSE(s.l().shadow);
}

TEST(Lifecycle, a_shadow_is_given_back_when_calm_for_long_enough) {
  Story s;
  s.to_mirroring();
  s.outlook(0.05, 0.0);
  s.pass(s.policy.recede_after - Millis{1});
  EXPECT_EQ(s.l().phase, Phase::mirroring);
  s.outlook(0.6, 0.1);
  s.outlook(0.05, 0.0);
  s.pass(s.policy.recede_after - Millis{1});
  EXPECT_EQ(s.l().phase, Phase::mirroring) << "the calm was interrupted";
  s.pass(Millis{2});
  EXPECT_EQ(s.l().phase, Phase::withdrawing);
}

TEST(Lifecycle, calm_under_moved_work_brings_the_work_back_before_the_shadow_is_given_back) {
  Story s;
  s.to_mirroring();
  s.evidence(100);
  s.settle_steers();
  ASSERT_EQ(s.l().phase, Phase::shifting);
  s.outlook(0.05, 0.0);
  s.pass(s.policy.recede_after + Millis{1});
  EXPECT_EQ(s.l().phase, Phase::mirroring) << "the calm may be due to the shift";
  EXPECT_EQ(s.body<Steer>().table.routes[0].other_weight, 0.0);
  EXPECT_TRUE(s.l().shadow);
  s.settle_steers();
  s.outlook(0.05, 0.0);
  EXPECT_EQ(s.l().phase, Phase::mirroring) << "nothing moves while calm";
  s.pass(s.policy.recede_after + Millis{1});
  EXPECT_EQ(s.l().phase, Phase::withdrawing);
}

TEST(Lifecycle, a_lagging_shadow_loses_its_reads) {
  Story s;
  s.to_mirroring();
  s.evidence(100);
  s.settle_steers();
  EXPECT_GT(s.l().table.routes[0].other_weight, 0.0);
  Evidence late;
  late.lag = Millis{6000};
  late.gateways = {{"edge", "edge#1"}};
  s.tell(late);
  EXPECT_EQ(s.body<Steer>().table.routes[0].other_weight, 0.0);
}

TEST(Lifecycle, a_failed_steer_is_told_again_under_a_new_version) {
  Story s;
  s.to_provisioning();
  EffectDone provisioned;
  provisioned.instance = Story::shadow();
  s.answer<Provision>(provisioned);
  s.answer<Replicate>();
  const auto first = s.body<Steer>().table.version;
  s.refuse<Steer>(Code::unreachable);
  EXPECT_EQ(s.open<Steer>(), nullptr);
  s.pass(Millis{600});
  ASSERT_NE(s.open<Steer>(), nullptr);
  EXPECT_GT(s.body<Steer>().table.version, first);
}

TEST(Lifecycle, a_gateway_that_came_back_is_told_the_table_again) {
  Story s;
  s.to_mirroring();
  s.evidence(1);
  s.settle_steers();
  Evidence reborn;
  reborn.gateways = {{"edge", "edge#2"}};
  s.tell(reborn);
  ASSERT_NE(s.open<Steer>(), nullptr);
  EXPECT_EQ(s.body<Steer>().table.version, s.l().version) << "the same table, not a new one";
}

TEST(Lifecycle, a_new_term_starts_what_had_not_answered_and_repeats_the_routes) {
  Story s;
  s.to_mirroring();
  s.outlook(0.95, 0.9, Millis{9'000});
  s.prepared();
  const auto* hold = s.open<Hold>();
  ASSERT_NE(hold, nullptr);
  const auto id = hold->id;
  s.effects.clear();
  s.tell(Started{2, "test"}, "");
  ASSERT_EQ(s.effects.size(), 1U) << "who serves is the handover's to say";
  EXPECT_EQ(s.effects[0].id, id);
  EXPECT_EQ(s.effects[0].term, 2U);
}

TEST(Lifecycle, a_new_term_repeats_the_routes) {
  Story s;
  s.to_mirroring();
  s.effects.clear();
  s.tell(Started{2, "test"}, "");
  ASSERT_EQ(s.effects.size(), 1U);
  ASSERT_TRUE(std::holds_alternative<Steer>(s.effects[0].body));
  EXPECT_EQ(std::get<Steer>(s.effects[0].body).table.term, 2U);
}

TEST(Lifecycle, a_state_survives_its_own_snapshot_in_every_phase) {
  Story s;
  const auto same = [&] {
    const auto image = encode_state(s.state);
    const auto back = decode_state(image);
    ASSERT_TRUE(back) << back.error().what;
    EXPECT_EQ(*back, s.state);
  };
  same();
  s.to_mirroring();
  same();
  s.evidence(100);
  s.settle_steers();
  s.outlook(0.95, 0.9, Millis{9'000});
  same();
  s.held();
  s.proven();
  same();
}

TEST(Lifecycle, a_snapshot_of_another_format_is_refused) {
  Story s;
  auto image = encode_state(s.state);
  const auto format = "\"format\":" + std::to_string(State::format);
  image.replace(image.find(format), format.size(), "\"format\":" + std::to_string(State::format + 1));
  const auto back = decode_state(image);
  ASSERT_FALSE(back);
  EXPECT_EQ(back.error().code, Code::invalid);
  EXPECT_EQ(decode_state("{]").error().code, Code::corrupt);
}

}  // namespace
}  // namespace foreshadow::decide
