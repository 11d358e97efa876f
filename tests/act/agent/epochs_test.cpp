#include "act/agent/epochs.hpp"

#include <gtest/gtest.h>

#include <filesystem>

#include "io/files.hpp"
#include "support/temp_dir.hpp"

namespace foreshadow::act {
namespace {

using foreshadow::testing::TempDir;

struct EpochBookTest : ::testing::Test {
  TempDir dir;
  std::unique_ptr<EpochBook> book = open();
  std::unique_ptr<EpochBook> open() { return std::move(*EpochBook::open(dir / "epochs.json")); }
  static Authority who(std::uint64_t epoch, std::uint64_t term = 1) { return {"shop", term, epoch}; }
  // A step that is allowed and ends well.
  void done(std::uint64_t epoch, Step step, const InstanceId& instance) {
    const auto leave = book->begin(who(epoch), step, instance);
    ASSERT_TRUE(leave) << leave.error().what;
    ASSERT_EQ(*leave, Leave::act);
    ASSERT_TRUE(book->end(who(epoch), step, instance, std::string("done")));
  }
  Code refusal(std::uint64_t epoch, Step step, const InstanceId& instance, std::uint64_t term = 1) {
    const auto leave = book->begin(who(epoch, term), step, instance);
    EXPECT_FALSE(leave.has_value());
    return leave ? Code::io : leave.error().code;
  }
};

TEST_F(EpochBookTest, LowerTermsAndEpochsAreRefusedAlsoAfterARestart) {
  ASSERT_TRUE(book->begin(who(5, 3), Step::fence, "a"));
  book = open();
  for (const auto step :
       {Step::prepare, Step::prove_equal, Step::fence, Step::check_fenced, Step::assess, Step::promote, Step::revive,
        Step::rejoin}) {
    EXPECT_EQ(refusal(4, step, "a", 3), Code::conflict) << to_string(step);
    EXPECT_EQ(refusal(5, step, "a", 2), Code::conflict) << to_string(step);
    EXPECT_EQ(refusal(6, step, "a", 2), Code::conflict) << to_string(step);
  }
  EXPECT_TRUE(book->begin(who(5, 4), Step::fence, "a"));
  EXPECT_EQ(refusal(5, Step::fence, "a", 3), Code::conflict);
  EXPECT_TRUE(book->begin({"other", 1, 1}, Step::fence, "x")) << "resources are apart";
}

TEST_F(EpochBookTest, NothingIsBroughtOverWithoutAFenceNorAfterAPromotionWasBegun) {
  EXPECT_EQ(refusal(1, Step::assess, "a"), Code::refused);
  ASSERT_TRUE(book->begin(who(1), Step::fence, "a"));
  EXPECT_EQ(refusal(1, Step::assess, "a"), Code::refused) << "it is not proven";
  ASSERT_TRUE(book->end(who(1), Step::fence, "a", std::string("fenced")));
  EXPECT_TRUE(book->begin(who(1), Step::assess, "a"));
  ASSERT_TRUE(book->begin(who(1), Step::promote, "b"));
  EXPECT_EQ(refusal(1, Step::assess, "a"), Code::conflict) << "told apart from a refusal: what was assessed stands";
}

TEST_F(EpochBookTest, PromotionNeedsAProvenFenceOfTheSameEpoch) {
  EXPECT_EQ(refusal(1, Step::promote, "b"), Code::refused);
  ASSERT_TRUE(book->begin(who(1), Step::fence, "a"));
  EXPECT_EQ(refusal(1, Step::promote, "b"), Code::refused) << "begun is not proven";
  ASSERT_TRUE(book->end(who(1), Step::fence, "a", fail(Code::timeout, "somebody is left")));
  EXPECT_EQ(refusal(1, Step::promote, "b"), Code::refused);
  done(1, Step::fence, "a");
  EXPECT_EQ(refusal(1, Step::promote, "a"), Code::refused) << "not the fenced one";
  EXPECT_EQ(refusal(2, Step::promote, "b"), Code::refused) << "a fence holds for its epoch";
  done(1, Step::promote, "b");
  EXPECT_EQ(book->record("shop").promoted_instance, "b");
  done(1, Step::promote, "b");
  EXPECT_EQ(refusal(1, Step::promote, "c"), Code::conflict);
}

TEST_F(EpochBookTest, ARevivalAndAPromotionOfOneEpochExcludeEachOther) {
  done(1, Step::fence, "a");
  ASSERT_EQ(*book->begin(who(1), Step::revive, "a"), Leave::act);
  // Even if the revival never answers.
  book = open();
  EXPECT_EQ(refusal(1, Step::promote, "b"), Code::refused);

  done(2, Step::fence, "a");
  ASSERT_EQ(*book->begin(who(2), Step::promote, "b"), Leave::act);
  book = open();
  EXPECT_EQ(refusal(2, Step::revive, "a"), Code::refused) << "it may have happened";
  EXPECT_EQ(*book->begin(who(2), Step::fence, "a"), Leave::done) << "a late fence has nothing to stop any more";
}

TEST_F(EpochBookTest, APromotionThatDidNothingMayBeGivenUpButOnlyByWhoTriedIt) {
  done(1, Step::fence, "a");
  ASSERT_TRUE(book->begin(who(1), Step::promote, "b"));
  ASSERT_TRUE(book->end(who(1), Step::promote, "b", fail(Code::refused, "a rival is in charge")));
  EXPECT_EQ(*book->begin(who(1), Step::revive, "a"), Leave::act);

  done(2, Step::fence, "a");
  ASSERT_TRUE(book->begin(who(2), Step::promote, "b"));
  ASSERT_TRUE(book->end(who(2), Step::promote, "b", fail(Code::timeout, "no answer")));
  EXPECT_EQ(refusal(2, Step::revive, "a"), Code::refused);
  // Killed inside the promotion; the next agent cannot reach the shadow, which says nothing about the first attempt.
  book = open();
  ASSERT_TRUE(book->begin(who(2), Step::promote, "b"));
  ASSERT_TRUE(book->end(who(2), Step::promote, "b", fail(Code::unreachable, "nobody there")));
  EXPECT_EQ(refusal(2, Step::revive, "a"), Code::refused);
}

TEST_F(EpochBookTest, APromotionOnceInDoubtStaysInDoubtWhateverLaterAttemptsSay) {
  done(1, Step::fence, "a");
  ASSERT_TRUE(book->begin(who(1), Step::promote, "b"));
  ASSERT_TRUE(book->end(who(1), Step::promote, "b", fail(Code::timeout, "no answer")));
  // The same agent, now without a way to the shadow: this attempt did nothing, the one before may have.
  ASSERT_TRUE(book->begin(who(1), Step::promote, "b"));
  ASSERT_TRUE(book->end(who(1), Step::promote, "b", fail(Code::unreachable, "nobody there")));
  EXPECT_EQ(refusal(1, Step::revive, "a"), Code::refused);
}

TEST_F(EpochBookTest, APromotionWhoseRecordDidNotReachTheDiskIsNotForgotten) {
  done(1, Step::fence, "a");
  ASSERT_TRUE(book->begin(who(1), Step::promote, "b"));
  const auto path = dir.path(), aside = path + "-aside";
  std::filesystem::rename(path, aside);
  EXPECT_EQ(book->end(who(1), Step::promote, "b", std::string("promoted")).error().code, Code::io);
  std::filesystem::rename(aside, path);
  // Asked again, and now the shadow cannot be reached: that says nothing of the first time.
  ASSERT_TRUE(book->begin(who(1), Step::promote, "b"));
  ASSERT_TRUE(book->end(who(1), Step::promote, "b", fail(Code::unreachable, "nobody there")));
  EXPECT_EQ(refusal(1, Step::revive, "a"), Code::refused);
}

TEST_F(EpochBookTest, OnlyWhatWasFencedIsRevivedOrRejoins) {
  EXPECT_EQ(*book->begin(who(1), Step::revive, "a"), Leave::only_look);
  EXPECT_EQ(refusal(1, Step::rejoin, "a"), Code::refused);
  done(1, Step::fence, "a");
  EXPECT_EQ(refusal(1, Step::rejoin, "a"), Code::refused);
  EXPECT_EQ(*book->begin(who(1), Step::revive, "c"), Leave::only_look);
  done(1, Step::promote, "b");
  EXPECT_EQ(refusal(1, Step::rejoin, "b"), Code::refused) << "it is the primary";
  done(1, Step::rejoin, "a");
  // The next handover is under way: nobody joins a primary that is being fenced.
  done(2, Step::fence, "b");
  EXPECT_EQ(refusal(2, Step::rejoin, "a"), Code::refused);
  EXPECT_EQ(*book->begin(who(2), Step::revive, "a"), Leave::only_look) << "the former primary is not the fenced one";
}

TEST_F(EpochBookTest, LookingWritesNothing) {
  ASSERT_EQ(*book->begin(who(7), Step::prove_equal, "a"), Leave::act);
  EXPECT_EQ(io::read_file(dir / "epochs.json").error().code, Code::unreachable);
  EXPECT_EQ(book->record("shop").epoch, 0U);
}

TEST_F(EpochBookTest, DamageStopsEverything) {
  done(1, Step::fence, "a");
  auto text = *io::read_file(dir / "epochs.json");
  ASSERT_TRUE(io::write_file_durably(dir / "epochs.json", text.substr(0, text.size() / 2)));
  EXPECT_EQ(EpochBook::open(dir / "epochs.json").error().code, Code::corrupt);
  ASSERT_TRUE(io::write_file_durably(dir / "epochs.json", R"({"format": 99, "resources": {}})"));
  EXPECT_EQ(EpochBook::open(dir / "epochs.json").error().code, Code::invalid);
}

TEST_F(EpochBookTest, AnIntentThatIsNotOnDiskGivesNoLeave) {
  std::filesystem::remove_all(dir.path());
  EXPECT_EQ(refusal(1, Step::fence, "a"), Code::io);
}

}  // namespace
}  // namespace foreshadow::act
