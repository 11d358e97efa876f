// Clients come past the gateways: nothing may move, whoever asks, until they are back.
#include "decide/state_json.hpp"
#include "decide/story.hpp"

namespace foreshadow::decide {
namespace {

void bypass(Story& s) { s.tell(Command{Verb::bypass, "ann", ""}); }
void end_bypass(Story& s) { s.tell(Command{Verb::end_bypass, "ann", ""}); }

TEST(Bypass, no_shadow_is_started_and_the_reason_says_how_to_end_it) {
  Story s;
  bypass(s);
  s.outlook(0.95, 0.9, Millis{9'000});
  EXPECT_EQ(s.l().phase, Phase::observing);
  EXPECT_NE(s.l().blocked_why.find("bypassed by ann"), std::string::npos) << s.l().blocked_why;
  EXPECT_NE(s.l().blocked_why.find("foreshadow bypass db --end"), std::string::npos) << s.l().blocked_why;
  EXPECT_EQ(s.started<Page>(), 0) << "a person has just asked for it";
  end_bypass(s);
  EXPECT_EQ(s.l().phase, Phase::provisioning);
}

TEST(Bypass, a_person_cannot_hand_over_either) {
  Story s;
  bypass(s);
  s.tell(Command{Verb::handover, "bob", ""});
  EXPECT_EQ(s.l().phase, Phase::observing);
  end_bypass(s);
  EXPECT_EQ(s.l().phase, Phase::observing) << "what was refused is not done later";
}

TEST(Bypass, a_shadow_in_waiting_is_given_back) {
  Story s;
  s.to_mirroring();
  bypass(s);
  s.settle_steers();
  EXPECT_EQ(s.l().phase, Phase::withdrawing);
  EXPECT_FALSE(s.l().table.other);
}

TEST(Bypass, a_handover_under_way_is_given_up_before_the_point_of_no_return) {
  Story s;
  s.to_holding();
  s.held();
  s.proven();
  bypass(s);
  s.answer<Seal>();
  ASSERT_NE(s.open<Release>(), nullptr);
  s.answer<Release>();
  s.settle_steers();
  EXPECT_EQ(s.l().phase, Phase::withdrawing);
  EXPECT_EQ(s.l().epoch, 0U);
}

TEST(Bypass, past_the_point_of_no_return_it_comes_too_late) {
  Story s;
  s.to_holding();
  s.held();
  s.proven();
  s.answer<Seal>();
  s.answer<Fence>();
  s.answer<CheckFenced>();
  ASSERT_EQ(s.l().step, HandoverStep::promoting);
  bypass(s);
  EXPECT_FALSE(s.l().bypassed);
  s.answer<Promote>();
  EXPECT_EQ(s.l().current.id, "new");
}

TEST(Bypass, no_rollback_while_it_lasts) {
  Story s(true);
  s.to_watching();
  bypass(s);
  s.tell(Command{Verb::rollback, "bob", ""});
  EXPECT_EQ(s.l().current.id, "new");
  EXPECT_EQ(s.started<Hold>(), 1);
}

TEST(Bypass, survives_its_snapshot) {
  Story s;
  bypass(s);
  const auto back = decode_state(encode_state(s.state));
  ASSERT_TRUE(back);
  EXPECT_TRUE(back->resources.at(Story::name).bypassed);
}

}  // namespace
}  // namespace foreshadow::decide
