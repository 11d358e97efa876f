// Flips bytes and cuts files at many places. A journal must then open whole, or say that it is damaged: never crash,
// and never come back with something else than what was written.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "journal/reader.hpp"
#include "journal/sqlite_journal.hpp"
#include "journal/wal_check.hpp"
#include "sample.hpp"
#include "support/temp_dir.hpp"

namespace foreshadow::journal {
namespace {

using testing::TempDir;

constexpr int kEvents = 60;

std::string slurp(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}
void spit(const std::string& path, const std::string& content) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << content;
}

// A database whose write-ahead log is empty, and one whose records are all still in the log.
struct Written {
  std::string database, log, lock;
};
Written write_journal(bool leave_in_log) {
  TempDir dir;
  const SqliteSettings settings{dir / "j", {}, ""};
  Written written;
  auto journal = std::make_unique<SqliteJournal>(settings);
  EXPECT_TRUE(journal->open());
  for (int i = 0; i < kEvents; ++i) {
    if (i == kEvents / 2) EXPECT_TRUE(journal->snapshot(sample_event(i).at, "image of " + std::string(3000, 'i')));
    EXPECT_TRUE(journal->append(sample_event(i), true));
  }
  if (!leave_in_log) journal.reset();
  return {slurp(dir / "j"), slurp(dir / "j-wal"), slurp(dir / "j.lock")};
}

struct Opened {
  Result<Recovery> recovery = fail(Code::io, "");
  int events = 0;
};
Opened open_copy(const std::string& database, const std::string& log, const std::string& lock) {
  TempDir dir;
  spit(dir / "j", database);
  if (!log.empty()) spit(dir / "j-wal", log);
  spit(dir / "j.lock", lock);
  Opened opened;
  {
    // Whatever the file holds, reading it must be safe too.
    if (auto reader = Reader::open(dir / "j")) {
      (void)reader->for_each({}, [](const Record&) { return true; });
      (void)reader->image_before();
    }
  }
  SqliteJournal journal({dir / "j", {}, ""});
  opened.recovery = journal.open();
  if (opened.recovery) {
    EXPECT_TRUE(journal.append(sample_event(999), true)) << "what opens must be able to go on";
    EXPECT_GE(opened.recovery->term, 2u);
    int expected = opened.recovery->snapshot ? kEvents / 2 : 0;
    for (const auto& event : opened.recovery->events) {
      EXPECT_EQ(event, sample_event(expected)) << "silently wrong";
      ++expected;
    }
    if (opened.recovery->snapshot) EXPECT_EQ(*opened.recovery->snapshot, "image of " + std::string(3000, 'i'));
    opened.events = expected;
  }
  return opened;
}

// The two are refusals; io is what SQLite calls some shapes of damage.
bool refused(const Error& error) {
  return error.code == Code::corrupt || error.code == Code::invalid || error.code == Code::io;
}

TEST(Damage, AFlippedByteInTheDatabaseIsToldOrHarmless) {
  const auto written = write_journal(false);
  ASSERT_GT(written.database.size(), 20'000u);
  int whole = 0, told = 0;
  for (std::size_t at = 0; at < written.database.size(); at += at < 200 ? 3 : 131) {
    auto damaged = written.database;
    damaged[at] = static_cast<char>(damaged[at] ^ (at % 2 ? 0xff : 0x01));
    const auto opened = open_copy(damaged, "", written.lock);
    if (opened.recovery) {
      ++whole;
      EXPECT_EQ(opened.events, kEvents) << "records were lost without a word, byte " << at;
    } else {
      ++told;
      EXPECT_TRUE(refused(opened.recovery.error())) << at << ": " << opened.recovery.error().what;
    }
  }
  EXPECT_GT(whole, 0);
  EXPECT_GT(told, 20);
}

TEST(Damage, ACutDatabaseIsTold) {
  const auto written = write_journal(false);
  for (std::size_t size = 0; size < written.database.size(); size += 491) {
    const auto opened = open_copy(written.database.substr(0, size), "", written.lock);
    if (opened.recovery)
      EXPECT_EQ(opened.events, kEvents) << "records were lost without a word, size " << size;
    else
      EXPECT_TRUE(refused(opened.recovery.error())) << size << ": " << opened.recovery.error().what;
  }
}

TEST(Damage, ALogCutAnywhereGivesAPrefixAndSaysSo) {
  const auto written = write_journal(true);
  ASSERT_GT(written.log.size(), 100'000u);
  int last = 0;
  for (std::size_t size = 0; size <= written.log.size(); size += 4001) {
    const auto opened = open_copy(written.database, written.log.substr(0, size), written.lock);
    if (!opened.recovery) {
      // Cut before the schema: the database file alone holds nothing, though a term was begun.
      EXPECT_EQ(opened.recovery.error().code, Code::corrupt) << size << opened.recovery.error().what;
      continue;
    }
    EXPECT_GE(opened.events, last) << "a longer log holds no less";
    last = opened.events;
  }
  EXPECT_GT(last, kEvents / 2);
  // In the middle of the last transaction: what a crash leaves.
  const auto torn = open_copy(written.database, written.log.substr(0, written.log.size() - 100), written.lock);
  ASSERT_TRUE(torn.recovery) << torn.recovery.error().what;
  EXPECT_TRUE(torn.recovery->tail_cut);
  EXPECT_EQ(torn.events, kEvents - 1);
  const auto whole = open_copy(written.database, written.log, written.lock);
  ASSERT_TRUE(whole.recovery);
  EXPECT_FALSE(whole.recovery->tail_cut);
  EXPECT_EQ(whole.events, kEvents);
}

TEST(Damage, AFlippedByteInTheMiddleOfTheLogIsToldNotCut) {
  const auto written = write_journal(true);
  const std::size_t frame = 24 + 4096;
  // Everything but the last two transactions was certainly acknowledged before something was written after it.
  const std::size_t last_transactions = written.log.size() - 8 * frame;
  int told = 0;
  for (std::size_t at = 0; at < written.log.size(); at += at < 100 ? 3 : 2003) {
    auto damaged = written.log;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x41);
    const auto opened = open_copy(written.database, damaged, written.lock);
    if (!opened.recovery) {
      ++told;
      EXPECT_EQ(opened.recovery.error().code, Code::corrupt) << opened.recovery.error().what;
    } else if (opened.events < kEvents) {
      EXPECT_GE(at, last_transactions) << "acknowledged records were cut without a word, byte " << at;
      EXPECT_TRUE(opened.recovery->tail_cut);
    }
  }
  EXPECT_GT(told, 100);
}

TEST(WalCheck, FramesOfAnEarlierUseOfTheLogAreNothing) {
  TempDir dir;
  SqliteJournal journal({dir / "j", {}, ""});
  ASSERT_TRUE(journal.open());
  // Over a checkpoint, after which the log is written again from its beginning with old frames behind it.
  for (int i = 0; i < 450; ++i) {
    ASSERT_TRUE(journal.append(sample_event(i), true));
    if (i % 10 == 0) {
      const auto checked = check_wal(dir / "j");
      ASSERT_TRUE(checked) << i << checked.error().what;
      EXPECT_FALSE(checked->torn) << i;
    }
  }
}

}  // namespace
}  // namespace foreshadow::journal
