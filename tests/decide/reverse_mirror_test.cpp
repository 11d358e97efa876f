// After a handover the old primary gets copies of the new one's work, and is judged on them.
#include "decide/story.hpp"

namespace foreshadow::decide {
namespace {

// Since the last look: of each segment 100 at the new side, 100 copies at the old one.
void look(Story& s, std::uint64_t new_errors, std::uint64_t old_errors, std::uint64_t mismatched = 0) {
  Evidence e;
  for (const auto& segment : s.resource.segments) {
    SegmentEvidence one;
    one.segment = segment.id;
    one.current_requests = one.mirrored = 100;
    one.current_errors = new_errors;
    one.mirror_errors = old_errors;
    one.mirror_mismatched = mismatched;
    e.segments.push_back(one);
  }
  e.gateways = {{"edge", "edge#1"}};
  s.tell(e);
}

TEST(ReverseMirror, the_old_primary_gets_copies_of_what_may_be_mirrored) {
  Story s(true);
  s.resource.segments[1].honours_mirror_mark = false;
  s.tell(PolicySet{s.resource, s.policy});
  s.to_watching();
  ASSERT_TRUE(s.l().table.other);
  EXPECT_EQ(s.l().table.other->id, "old");
  EXPECT_EQ(s.l().table.routes[0].mirror, s.policy.reverse_mirror_fraction);
  EXPECT_EQ(s.l().table.routes[1].mirror, 0) << "a write that nobody declared";
  for (const auto& route : s.l().table.routes) EXPECT_EQ(route.other_weight, 0);
}

TEST(ReverseMirror, is_as_large_as_the_policy_says_and_ends_with_the_watch) {
  auto policy = Story::act_policy();
  policy.reverse_mirror_fraction = 0.25;
  policy.counterfactual_max = Millis{20'000};
  Story s(true, policy);
  s.to_watching();
  EXPECT_EQ(s.l().table.routes[0].mirror, 0.25);
  s.pass(Millis{20'001});
  s.settle_steers();
  EXPECT_FALSE(s.l().table.other);
}

TEST(ReverseMirror, a_database_gets_none) {
  Story s(false);
  s.to_watching();
  EXPECT_FALSE(s.l().table.other);
}

TEST(ReverseMirror, an_old_primary_that_breaks_its_objective_under_it_has_failed) {
  Story s(true);
  s.to_watching();
  look(s, 0, 0);
  EXPECT_EQ(s.l().phase, Phase::watching);
  for (int i = 0; i < 3 && s.l().phase == Phase::watching; ++i) look(s, 0, 40);
  ASSERT_TRUE(s.l().unlabelled);
  EXPECT_TRUE(s.l().unlabelled->failed_at);
  EXPECT_NE(s.l().unlabelled->why.find("mirrored to it"), std::string::npos) << s.l().unlabelled->why;
}

TEST(ReverseMirror, where_both_suffer_the_work_is_the_cause) {
  Story s(true);
  s.to_watching();
  for (int i = 0; i < 10; ++i) look(s, 40, 40);
  EXPECT_EQ(s.l().phase, Phase::watching);
  EXPECT_FALSE(s.l().old_died_at);
}

TEST(ReverseMirror, answers_that_differ_are_no_failure) {
  Story s(true);
  s.to_watching();
  for (int i = 0; i < 10; ++i) look(s, 0, 0, 100);
  EXPECT_EQ(s.l().phase, Phase::watching);
}

TEST(ReverseMirror, what_was_counted_before_the_handover_does_not_count_after_it) {
  Story s(true);
  s.to_holding();
  s.held();
  s.proven();
  s.answer<Seal>();
  s.settle_steers();
  ASSERT_EQ(s.l().phase, Phase::watching);
  for (const auto& p : s.l().segments) {
    EXPECT_EQ(p.mirror, Tally{});
    EXPECT_EQ(p.shifted, Tally{});
  }
}

TEST(ReverseMirror, a_rollback_begins_with_clean_counts) {
  Story s(true);
  s.to_watching();
  look(s, 0, 1);
  s.tell(Command{Verb::rollback, "ann", ""});
  EXPECT_EQ(s.l().phase, Phase::handing_over);
  EXPECT_EQ(s.l().segments.size(), s.resource.segments.size());
}

}  // namespace
}  // namespace foreshadow::decide
