#include "act/agent/epochs.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "io/files.hpp"
#include "support/disk.hpp"
#include "support/temp_dir.hpp"

namespace foreshadow::act {
namespace {

using foreshadow::testing::FailingDisk;
using foreshadow::testing::PowerCuts;
using foreshadow::testing::syncs;
using foreshadow::testing::TempDir;

struct EpochBookTest : ::testing::Test {
  TempDir dir;
  std::string content() { return *io::read_file(dir / "epochs.json", 64 << 20); }
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
  for (const auto step : {Step::prepare, Step::prove_equal, Step::fence, Step::check_fenced, Step::assess,
                          Step::promote, Step::revive, Step::rejoin}) {
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
  auto text = content();
  ASSERT_TRUE(io::write_file_durably(dir / "epochs.json", text.substr(0, text.size() / 2)));
  EXPECT_EQ(EpochBook::open(dir / "epochs.json").error().code, Code::corrupt);
  ASSERT_TRUE(io::write_file_durably(dir / "epochs.json", R"({"format": 99, "resources": {}})"));
  EXPECT_EQ(EpochBook::open(dir / "epochs.json").error().code, Code::invalid);
}

// What version 1 wrote: one object.
constexpr const char* kObject = R"({
  "format": 1,
  "resources": {
    "shop": {"epoch": 3, "term": 5, "fencing_epoch": 3, "fencing_instance": "a", "fenced_epoch": 3, "promoting_epoch": 3,
             "promoted_epoch": 0, "promoted_instance": "", "step": "promote", "result": "started"}
  }
})";

TEST_F(EpochBookTest, TheBookOfAnOlderVersionIsReadOnceAndLeftBehind) {
  const auto path = dir / "epochs.json";
  ASSERT_TRUE(io::write_file_durably(path, kObject));
  book = open();
  const auto record = book->record("shop");
  EXPECT_EQ(record.term, 5U);
  EXPECT_EQ(record.promoting_epoch, 3U);
  EXPECT_EQ(content(), kObject) << "opening changes nothing";
  ASSERT_TRUE(book->prepare());
  EXPECT_TRUE(content().starts_with("epochs 0000")) << "the older version refuses it as damaged";
  book = open();
  EXPECT_EQ(book->record("shop"), record);
  EXPECT_EQ(refusal(3, Step::revive, "a", 5), Code::refused) << "the promotion may have happened";
}

TEST_F(EpochBookTest, AStepCostsTwoSyncsAndLookingNone) {
  ASSERT_TRUE(book->prepare());
  const int before = syncs().count;
  done(1, Step::fence, "a");
  EXPECT_EQ(syncs().count, before + 2);
  ASSERT_EQ(*book->begin(who(1), Step::check_fenced, "a"), Leave::act);
  ASSERT_TRUE(book->end(who(1), Step::check_fenced, "a", std::string("nobody")));
  EXPECT_EQ(syncs().count, before + 2);
  done(1, Step::promote, "b");
  EXPECT_EQ(syncs().count, before + 4);
}

TEST_F(EpochBookTest, ALongLifeIsTidiedUpWhileNobodyWaits) {
  ASSERT_TRUE(book->prepare());
  for (std::uint64_t epoch = 1; epoch <= 300; ++epoch) {
    const InstanceId old = epoch % 2 == 1 ? "a" : "b", next = epoch % 2 == 1 ? "b" : "a";
    const int before = syncs().count;
    done(epoch, Step::fence, old);
    done(epoch, Step::promote, next);
    ASSERT_EQ(syncs().count, before + 4) << "while clients wait nothing is tidied, epoch " << epoch;
    done(epoch, Step::rejoin, old);
  }
  EXPECT_LT(std::filesystem::file_size(dir / "epochs.json"), 2U << 20);
  const auto record = book->record("shop");
  book = open();
  EXPECT_EQ(book->record("shop"), record);
}

TEST_F(EpochBookTest, AFullLogIsMadeAnewAlsoWhileClientsWait) {
  for (int i = 0; i < 400; ++i) {
    const Authority authority{"shop" + std::to_string(i % 50), 1, static_cast<std::uint64_t>(i) + 1};
    ASSERT_TRUE(book->begin(authority, Step::fence, "a" + std::string(200, 'a')));
    ASSERT_TRUE(book->end(authority, Step::fence, "a", std::string(300, 'd')));
  }
  book = open();
  for (int i = 350; i < 400; ++i)
    EXPECT_EQ(book->record("shop" + std::to_string(i % 50)).fenced_epoch, static_cast<std::uint64_t>(i) + 1);
}

TEST_F(EpochBookTest, ASyncThatFailsGivesNoLeaveAndIsNotBuiltOn) {
  done(1, Step::fence, "a");
  for (int again = 0; again < 3; ++again) {
    FailingDisk failing;
    EXPECT_EQ(refusal(1, Step::promote, "b"), Code::io);
    EXPECT_EQ(book->record("shop").promoting_epoch, 0U);
    EXPECT_EQ(open()->record("shop").promoting_epoch, 0U) << "as the kernel shows it";
  }
  struct stat before{}, after{};
  ASSERT_EQ(::stat((dir / "epochs.json").c_str(), &before), 0);
  done(1, Step::promote, "b");
  ASSERT_EQ(::stat((dir / "epochs.json").c_str(), &after), 0);
  EXPECT_NE(before.st_ino, after.st_ino);
  EXPECT_EQ(open()->record("shop").promoted_instance, "b");
}

TEST_F(EpochBookTest, APowerCutLeavesTheStepBeforeOrTheStepThatWasBeingWritten) {
  const auto cut = dir / "cut";
  ASSERT_TRUE(book->prepare());
  done(1, Step::fence, "a");
  EpochRecord acknowledged = book->record("shop");
  bool in_doubt = false;
  PowerCuts cuts(dir / "epochs.json", [&](const std::string& content) {
    std::ofstream(cut, std::ios::binary | std::ios::trunc) << content;
    const auto opened = EpochBook::open(cut);
    ASSERT_TRUE(opened) << opened.error().what;
    const auto found = (*opened)->record("shop");
    EXPECT_TRUE(found == acknowledged || in_doubt) << found.step << " " << found.result;
    // Never less than was acknowledged.
    EXPECT_GE(found.epoch, acknowledged.epoch);
    EXPECT_GE(found.promoting_epoch, acknowledged.promoting_epoch);
    EXPECT_GE(found.promoted_epoch, acknowledged.promoted_epoch);
  });
  for (std::uint64_t epoch = 1; epoch <= 4; ++epoch) {
    const InstanceId old = epoch % 2 == 1 ? "a" : "b", next = epoch % 2 == 1 ? "b" : "a";
    for (const auto& [step, instance] : {std::pair{Step::fence, old}, {Step::promote, next}, {Step::rejoin, old}}) {
      for (const bool end : {false, true}) {
        in_doubt = true;
        if (end)
          ASSERT_TRUE(book->end(who(epoch), step, instance, std::string("done")));
        else
          ASSERT_EQ(*book->begin(who(epoch), step, instance), Leave::act);
        acknowledged = book->record("shop");
        in_doubt = false;
        cuts.look();
      }
      if (step == Step::promote) {
        book = open();
        ASSERT_TRUE(book->prepare());
      }
    }
  }
  EXPECT_GT(cuts.states(), 200);
}

TEST_F(EpochBookTest, AByteMayBeWrongInOneCopyButNotInBoth) {
  done(1, Step::fence, "a");
  ASSERT_TRUE(book->begin(who(1), Step::promote, "b"));
  const auto path = dir / "epochs.json";
  const auto whole = content();
  const auto record = book->record("shop");
  const auto used = whole.find_last_not_of('\0') + 1;
  for (std::size_t at = 0; at < used; at += at % 4096 < 500 ? 23 : 511) {
    auto damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x10);
    std::ofstream(path, std::ios::binary | std::ios::trunc) << damaged;
    const auto opened = EpochBook::open(path);
    ASSERT_TRUE(opened) << at << ": " << opened.error().what;
    EXPECT_EQ((*opened)->record("shop"), record) << at;
  }
  // The last entry, twice: not taken for one that was never acknowledged.
  const auto last = whole.rfind("epochs "), first = whole.rfind("epochs ", last - 1);
  auto damaged = whole;
  damaged[first + 55] ^= 0x10;
  damaged[last + 55] ^= 0x10;
  std::ofstream(path, std::ios::binary | std::ios::trunc) << damaged;
  EXPECT_EQ(EpochBook::open(path).error().code, Code::corrupt);
}

TEST_F(EpochBookTest, AFileWithoutAWholeEntryIsNoEmptyBook) {
  const auto path = dir / "epochs.json";
  for (const auto& content : {std::string(), std::string(1 << 20, '\0'), std::string(4096, '\xff')}) {
    ASSERT_TRUE(io::write_file_durably(path, content));
    EXPECT_EQ(EpochBook::open(path).error().code, Code::corrupt) << content.size();
  }
}

// An agent that fences and promotes for ever, telling its parent each acknowledged epoch.
[[noreturn]] void act_until_killed(const std::string& path, std::uint64_t from, int pipe) {
  auto book = EpochBook::open(path);
  if (!book) ::_exit(1);
  for (std::uint64_t epoch = from;; ++epoch) {
    const Authority who{"shop", 1, epoch};
    for (const auto& [step, instance] : {std::pair{Step::fence, "a"}, {Step::promote, "b"}}) {
      if (!(*book)->begin(who, step, instance)) ::_exit(2);
      if (!(*book)->end(who, step, instance, std::string("done"))) ::_exit(3);
    }
    if (::write(pipe, &epoch, sizeof epoch) != sizeof epoch) ::_exit(4);
  }
}

TEST_F(EpochBookTest, KilledAtAnyMomentItKeepsWhatItAcknowledged) {
  const auto path = dir / "epochs.json";
  std::uint64_t acknowledged = 0;
  for (int round = 0; round < 30; ++round) {
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    const pid_t child = ::fork();
    if (child == 0) act_until_killed(path, acknowledged + 1, ends[1]);
    ::close(ends[1]);
    std::uint64_t epoch = 0;
    for (int wanted = 1 + round % 7; wanted > 0 && ::read(ends[0], &epoch, sizeof epoch) == sizeof epoch; --wanted)
      acknowledged = epoch;
    ::kill(child, SIGKILL);
    int status = 0;
    ::waitpid(child, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the writer failed by itself with " << WEXITSTATUS(status);
    while (::read(ends[0], &epoch, sizeof epoch) == sizeof epoch) acknowledged = epoch;
    ::close(ends[0]);
    const auto record = open()->record("shop");
    EXPECT_GE(record.promoted_epoch, acknowledged);
    EXPECT_LE(record.epoch, acknowledged + 2);
    EXPECT_LE(record.promoted_epoch, record.promoting_epoch);
    acknowledged = record.epoch;
  }
}

TEST_F(EpochBookTest, AnIntentThatIsNotOnDiskGivesNoLeave) {
  std::filesystem::remove_all(dir.path());
  EXPECT_EQ(refusal(1, Step::fence, "a"), Code::io);
}

}  // namespace
}  // namespace foreshadow::act
