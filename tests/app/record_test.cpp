// What is told from the journal alone: the state, the story of an action, the decisions taken again.
#include "app/record.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "app/event_view.hpp"
#include "app/explain_view.hpp"
#include "app/recorded.hpp"
#include "app/replay.hpp"

namespace foreshadow::app {
namespace {

journal::Reader open(const Recorded& recorded) {
  auto reader = journal::Reader::open(recorded.path());
  EXPECT_TRUE(reader) << reader.error().what;
  return std::move(*reader);
}

TEST(Record, TheNewestStateIsHadWithoutItsController) {
  Recorded recorded("state");
  recorded.whole_handover();
  recorded.end_term();
  auto reader = open(recorded);
  const auto known = state_at(reader);
  ASSERT_TRUE(known) << known.error().what;
  EXPECT_EQ(known->state, recorded.state());
  EXPECT_TRUE(known->damage.empty());
}

TEST(Explain, TellsNumbersThresholdsGuardrailsStepsAndOutcome) {
  Recorded recorded("explain");
  recorded.whole_handover();
  auto reader = open(recorded);
  const auto story = tell_story(reader, "shop");
  ASSERT_TRUE(story) << story.error().what;
  ASSERT_EQ(story->decisions.size(), 2U);
  EXPECT_EQ(story->decisions[0].question, "a shadow");
  EXPECT_EQ(story->decisions[1].question, "the handover");
  for (const auto& step : story->steps) EXPECT_TRUE(step.done) << name_of(step.effect.body);
  const auto text = story_text(*story, {});
  for (const auto* part :
       {"Why a shadow", "score 0.90 within 15m00s; the shadowing threshold was 0.50: reached",
        "0.90  process_resident_memory_bytes: value 61.2, limit 96, reached in 18.0s", "Why the handover",
        "the critical threshold was 0.80: reached", "autonomy act", "shadows today 1 of 6", "not frozen",
        "sessions that cannot move: 0", "provision #", "done in 210ms, shop-b at 127.0.0.1:9002", "hold #",
        "proof 0/1A2B", "gateway edge, for epoch 1: drained in 12.0 ms; 1 waited, p50 34.", "confirmed: failed as foreseen"})
    EXPECT_NE(text.find(part), std::string::npos) << part << "\nin\n" << text;
  const auto json = story_json(*story);
  EXPECT_EQ(json.at("outcome").at("verdict"), "confirmed");
  EXPECT_EQ(json.at("holds").size(), 1U);
  EXPECT_EQ(json.at("decisions").at(1).at("thresholds").at(1).at("reached"), true);
}

TEST(Explain, AStepThatFailedIsToldWithItsReason) {
  Recorded recorded("failed");
  recorded.whole_handover("hold");
  auto reader = open(recorded);
  const auto story = tell_story(reader, "");
  ASSERT_TRUE(story) << story.error().what;
  EXPECT_NE(story_text(*story, {}).find("failed after 210ms: 3 requests were still in flight (timeout)"),
            std::string::npos)
      << story_text(*story, {});
  // The hold that was tried again belongs to the same decision.
  EXPECT_EQ(story->decisions.size(), 2U);
}

TEST(Explain, AnActionIsFoundByItsNumber) {
  Recorded recorded("number");
  recorded.whole_handover();
  auto reader = open(recorded);
  const auto all = tell_story(reader, "shop");
  ASSERT_TRUE(all);
  const auto id = all->steps.back().effect.id;
  const auto story = tell_story(reader, std::to_string(id));
  ASSERT_TRUE(story) << story.error().what;
  EXPECT_EQ(story->steps.size(), all->steps.size());
  EXPECT_EQ(tell_story(reader, "999").error(),
            (Error{Code::invalid, "no action #999 in the journal; it may have been pruned"}));
  EXPECT_EQ(tell_story(reader, "shpo").error(),
            (Error{Code::invalid, "no resource or action 'shpo'; resources: shop"}));
}

TEST(Explain, WhereNothingWasDoneItSaysWhatWouldBe) {
  Recorded recorded("nothing");
  recorded.take("shop", PolicySet{Recorded::shop(), {}});
  recorded.take("shop", OutlookMade{Recorded::outlook(0.9)});
  recorded.flush();
  auto reader = open(recorded);
  const auto story = tell_story(reader, "shop");
  ASSERT_TRUE(story) << story.error().what;
  const auto text = story_text(*story, {});
  EXPECT_TRUE(text.starts_with("Nothing has been done for shop\n")) << text;
  EXPECT_NE(text.find("in the way: autonomy is observe: this only says what it would do"), std::string::npos) << text;
}

TEST(Replay, DecidesTheSameAgain) {
  Recorded recorded("replay");
  recorded.whole_handover("hold");
  recorded.end_term();
  recorded.begin_term();
  recorded.answer_all();
  recorded.end_term();
  auto reader = open(recorded);
  const auto report = replay(reader);
  ASSERT_TRUE(report) << report.error().what;
  EXPECT_TRUE(report->differences.empty()) << report->differences.front();
  EXPECT_TRUE(report->damage.empty());
  EXPECT_GT(report->decisions, 8U);
}

TEST(Replay, ADecisionThatNobodyWouldTakeAgainIsTold) {
  Recorded recorded("differs");
  recorded.whole_handover();
  ASSERT_TRUE(
      recorded.journal().intend({900, "shop", 1, Page{"never decided"}, "by hand"}, recorded.state().now, true));
  auto reader = open(recorded);
  const auto report = replay(reader);
  ASSERT_TRUE(report) << report.error().what;
  ASSERT_EQ(report->differences.size(), 1U);
  EXPECT_NE(report->differences[0].find("decided then, not now: page"), std::string::npos) << report->differences[0];
}

TEST(Events, RepetitionsOnlyRaiseACount) {
  const Terminal plain;
  EventPrinter printer(plain);
  const auto failed = [](EffectId id) {
    const Event event{time_from_ms(1'780'000'000'000), "shop",
                      EffectDone{.id = id, .error = Error{Code::timeout, "no drain"}}};
    return journal::Record{.seq = id,
                           .type = journal::Record::Type::event,
                           .at = event.at,
                           .resource = "shop",
                           .name = "effect_done",
                           .body = encode(event)};
  };
  EXPECT_EQ(printer.take(failed(5)), "2026-05-28 20:26:40.000  shop  effect_done #5 failed: no drain (timeout)\n");
  EXPECT_EQ(printer.take(failed(6)), "");
  EXPECT_EQ(printer.take(failed(7)), "");
  EXPECT_EQ(printer.flush(), "                         (the same 2 more times)\n");
  EXPECT_TRUE(is_failure(failed(5)));
  EXPECT_EQ(event_json(failed(5)).at("body").at("body").at("error").at("code"), "timeout");
}

TEST(Events, ARecordThatCannotBeReadIsShownAsThat) {
  const journal::Record record{.seq = 1, .type = journal::Record::Type::event, .name = "command", .body = "\x1b[2J{"};
  EXPECT_EQ(event_json(record).at("body"), "\x1b[2J{");
  EXPECT_EQ(event_summary(record).find('\x1b'), std::string::npos);
}

}  // namespace
}  // namespace foreshadow::app
