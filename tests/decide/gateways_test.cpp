// Two gateways in a resource's path, one of them away.
#include "decide/story.hpp"

namespace foreshadow::decide {
namespace {

class Pair : public ::testing::Test {
 protected:
  Pair() {
    s.resource.gateways = {"a", "b"};
    s.tell(PolicySet{s.resource, s.policy});
  }
  void look(std::vector<GatewayAck> answered, std::vector<std::string> closed = {}) {
    Evidence e;
    for (const auto& segment : s.resource.segments) {
      SegmentEvidence one;
      one.segment = segment.id;
      one.mirrored = one.other_requests = 100;
      e.segments.push_back(one);
    }
    e.gateways = std::move(answered);
    e.closed = std::move(closed);
    s.tell(e);
  }
  void look_and_settle(std::vector<GatewayAck> answered) {
    look(std::move(answered));
    s.settle_steers();
  }
  void both() { look({{"a", "a#1"}, {"b", "b#1"}}); }
  void only_a() { look({{"a", "a#1"}}); }

  Story s{true};
};

TEST_F(Pair, one_look_without_an_answer_is_no_reason_two_are) {
  s.to_mirroring();
  both();
  only_a();
  s.outlook(0.95, 0.9, Millis{9'000});
  s.settle_steers();
  EXPECT_NE(s.open<Hold>(), nullptr);
}

TEST_F(Pair, no_handover_is_begun_while_one_is_silent) {
  s.to_mirroring();
  both();
  only_a();
  only_a();
  s.outlook(0.95, 0.9, Millis{9'000});
  s.settle_steers();
  EXPECT_EQ(s.open<Hold>(), nullptr);
  EXPECT_NE(s.l().blocked_why.find("gateway b does not answer"), std::string::npos) << s.l().blocked_why;
  both();
  s.settle_steers();
  s.outlook(0.95, 0.9, Millis{9'000});
  s.settle_steers();
  EXPECT_NE(s.open<Hold>(), nullptr) << "it is back";
}

TEST_F(Pair, one_that_was_taken_out_is_not_waited_for) {
  s.to_mirroring();
  both();
  only_a();
  only_a();
  s.tell(Command{Verb::remove_gateway, "ann", "", "b"});
  look({{"a", "a#1"}, {"b", "out"}});
  s.settle_steers();
  s.outlook(0.95, 0.9, Millis{9'000});
  s.settle_steers();
  EXPECT_NE(s.open<Hold>(), nullptr) << s.l().blocked_why;
}

TEST_F(Pair, a_hold_that_one_did_not_answer_is_given_up_without_it) {
  s.to_holding();
  s.refuse<Hold>(Code::unreachable, "gateway b: nobody listens");
  s.refuse<Release>(Code::unreachable, "gateway b: nobody listens");
  EXPECT_EQ(s.open<Release>(), nullptr) << "it was never sealed: its lease lapses";
  s.pass(s.policy.hold.retry_after + Millis{1});
  EXPECT_NE(s.open<Hold>(), nullptr);
}

TEST_F(Pair, a_retried_hold_asks_for_itself_whoever_was_silent) {
  s.to_holding();
  only_a();
  only_a();
  s.refuse<Hold>(Code::unreachable, "gateway b: nobody listens");
  s.refuse<Release>(Code::unreachable, "gateway b: nobody listens");
  s.pass(s.policy.hold.retry_after + Millis{1});
  EXPECT_NE(s.open<Hold>(), nullptr) << "it may be back since the last look";
}

TEST_F(Pair, who_wants_a_handover_hears_why_the_routes_keep_it_waiting) {
  s.to_provisioning();
  EffectDone provisioned;
  provisioned.instance = Story::shadow();
  s.answer<Provision>(provisioned);
  s.tell(Command{Verb::handover, "ann", ""});
  s.answer<Replicate>();
  only_a();
  only_a();
  s.refuse<Steer>(Code::unreachable, "gateway b: nobody listens");
  EXPECT_NE(s.l().blocked_why.find("gateway b does not answer"), std::string::npos) << s.l().blocked_why;
}

TEST_F(Pair, after_a_seal_was_asked_for_every_gateway_must_be_released) {
  s.to_holding();
  s.held();
  s.proven();
  s.refuse<Seal>(Code::unreachable, "gateway b: nobody listens");
  for (int i = 0; i < 5; ++i) {
    s.refuse<Release>(Code::unreachable, "gateway b: nobody listens");
    EXPECT_EQ(s.l().step, HandoverStep::releasing) << "it may be sealed";
    s.pass(Millis{501});
  }
  s.answer<Release>();
  EXPECT_NE(s.l().step, HandoverStep::releasing);
}

TEST_F(Pair, the_silence_of_one_is_no_reason_to_send_the_routes_again) {
  look_and_settle({{"a", "a#1"}, {"b", "b#1"}});
  look_and_settle({{"a", "a#1"}});
  look_and_settle({{"a", "a#1"}, {"b", "b#1"}});
  EXPECT_EQ(s.started<Steer>(), 0);
  look_and_settle({{"a", "a#1"}, {"b", "b#2"}});
  EXPECT_EQ(s.started<Steer>(), 1) << "another process";
}

TEST_F(Pair, one_that_lets_nothing_through_is_told_who_serves) {
  both();
  EXPECT_EQ(s.started<Steer>(), 0);
  look({{"a", "a#1"}, {"b", "b#1"}}, {"b"});
  ASSERT_NE(s.open<Steer>(), nullptr);
  EXPECT_GT(s.body<Steer>().table.version, 0U);
  EXPECT_EQ(s.body<Steer>().table.current.id, "old");
}

TEST_F(Pair, during_a_handover_what_comes_back_is_told_when_it_is_over) {
  s.to_holding();
  const int steers = s.started<Steer>();
  look({{"a", "a#1"}, {"b", "b#2"}}, {"a", "b"});
  EXPECT_EQ(s.started<Steer>(), steers);
}

TEST_F(Pair, a_table_is_sent_until_it_is_taken_ever_less_often) {
  s.to_provisioning();
  EffectDone provisioned;
  provisioned.instance = Story::shadow();
  s.answer<Provision>(provisioned);
  s.answer<Replicate>();
  std::vector<Millis> pauses;
  for (int i = 0; i < 7; ++i) {
    ASSERT_NE(s.open<Steer>(), nullptr) << i;
    s.refuse<Steer>(Code::unreachable, "gateway b: nobody listens");
    Millis waited{0};
    while (s.open<Steer>() == nullptr && waited < Millis{20'000}) {
      s.pass(Millis{100});
      waited += Millis{100};
    }
    pauses.push_back(waited);
  }
  EXPECT_EQ(pauses.front(), Millis{500});
  EXPECT_EQ(pauses.back(), Millis{5000});
  s.refuse<Steer>(Code::unreachable, "gateway b: nobody listens");
  look({{"a", "a#1"}, {"b", "b#1"}});
  look({{"a", "a#1"}, {"b", "b#2"}});
  EXPECT_NE(s.open<Steer>(), nullptr) << "it is back: told at once";
}

}  // namespace
}  // namespace foreshadow::decide
