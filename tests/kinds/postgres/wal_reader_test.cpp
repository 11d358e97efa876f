// Our own reader of the log over logs of which every byte is known: what it reads, where it ends, what it doubts.
#include "kinds/postgres/wal_reader.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <functional>

#include "kinds/postgres/wal_files.hpp"
#include "kinds/postgres/wal_log.hpp"

namespace foreshadow::kinds::postgres {
namespace {

using foreshadow::testing::MadeRecord;
using foreshadow::testing::WalLog;

// A marker and its commit, then what somebody else does.
struct Story {
  WalLog log;
  Lsn marker, marker_commit, foreign_commit, last;
  Story() {
    log.add_filler(100);
    marker = log.add_message(735, "foreshadow", "shop epoch 2 term 1");
    marker_commit = log.add_commit(735);
    log.add_filler(300);
    foreign_commit = log.add_commit(736);
    last = log.add_filler(50);
  }
};

std::string doubt_of(WalLog& log, Lsn start) {
  const auto tail = scan_wal(log, log.scan(start));
  if (tail) return "";
  EXPECT_EQ(tail.error().code, Code::corrupt);
  return tail.error().what;
}

TEST(WalReader, MarkerCommitsAndTheEnd) {
  Story story;
  const auto tail = scan_wal(story.log, story.log.scan(story.marker, Lsn{story.marker_commit.value + 8}));
  ASSERT_TRUE(tail) << tail.error().what;
  EXPECT_EQ(tail->records, 5U);
  EXPECT_EQ(tail->last, story.last);
  EXPECT_EQ(tail->marker_commit, story.marker_commit);
  ASSERT_EQ(tail->commits.size(), 1U) << "the marker's own commit is before the place asked for";
  EXPECT_EQ(tail->commits[0].at, story.foreign_commit);
  EXPECT_EQ(tail->commits[0].what, "COMMIT of transaction 736, 2000-01-01 00:00:00.000000 UTC");
  EXPECT_EQ(tail->last_commit, story.foreign_commit);
  EXPECT_FALSE(tail->by_tool);
}

TEST(WalReader, WhatEndsATransactionAndWhatDoesNot) {
  WalLog log;
  const auto start = log.add_commit(1);
  log.add_commit(2, 0x10 | 0x80);  // PREPARE; the high bit says only that there is more
  log.add_commit(3, 0x20);         // ABORT
  log.add_commit(4, 0x30);         // COMMIT PREPARED
  log.add_commit(5, 0x40);         // ABORT PREPARED
  log.add_commit(6, 0x50);         // ASSIGNMENT
  log.add_commit(7, 0x60);         // INVALIDATIONS
  log.add_message(8, "foreshadow", "rolled back");
  log.add_message(9, "foreshadow2", "not ours");
  log.add_commit(9);
  const auto tail = scan_wal(log, log.scan(start));
  ASSERT_TRUE(tail) << tail.error().what;
  EXPECT_EQ(tail->records, 10U);
  ASSERT_EQ(tail->commits.size(), 4U);
  EXPECT_TRUE(tail->commits[1].what.starts_with("PREPARE of transaction 2"));
  EXPECT_TRUE(tail->commits[2].what.starts_with("COMMIT_PREPARED of transaction 4"));
  EXPECT_FALSE(tail->marker_commit) << "a message that was rolled back, and one of another's, are no marker";
}

TEST(WalReader, RecordsGoOnOverPagesAndSegments) {
  // Every length of record meets every distance from a page's end, the header cut in two among them.
  WalLog log;
  std::vector<Lsn> starts;
  for (std::size_t bytes = 0; bytes < 9000; bytes += 131) starts.push_back(log.add_filler(bytes));
  for (const std::size_t bytes : {20'000, 200'000, 1'300'000}) starts.push_back(log.add_filler(bytes));
  MadeRecord switched{.manager = 0, .info = 0x40};
  starts.push_back(log.add(switched));
  ASSERT_EQ(log.end % log.segment_bytes, 0U);
  starts.push_back(log.add_commit(77));
  for (int i = 0; i < 600; ++i) starts.push_back(log.add_filler(static_cast<std::size_t>(i % 17) * 8));
  for (std::size_t i = 0; i < starts.size(); i += i < 80 ? 3 : 97) {
    SCOPED_TRACE(starts[i].text());
    const auto tail = scan_wal(log, log.scan(starts[i]));
    ASSERT_TRUE(tail) << tail.error().what;
    EXPECT_EQ(tail->records, starts.size() - i);
    EXPECT_EQ(tail->last, starts.back());
    // From inside a record, reading begins with the next.
    if (i + 1 == starts.size()) continue;
    const auto behind = scan_wal(log, log.scan(Lsn{starts[i].value + 1}));
    ASSERT_TRUE(behind) << behind.error().what;
    EXPECT_EQ(behind->records, starts.size() - i - 1);
  }
}

TEST(WalReader, EndsAsDeadServersLogsDo) {
  {  // In the zeroes of a page that was begun.
    Story story;
    EXPECT_EQ(scan_wal(story.log, story.log.scan(story.marker))->last, story.last);
  }
  {  // In the pages of the file's former life.
    Story story;
    story.log.recycle_rest();
    story.log.fill_page();
    const auto tail = scan_wal(story.log, story.log.scan(story.marker));
    ASSERT_TRUE(tail) << tail.error().what;
    EXPECT_EQ(tail->last.value, story.log.starts.back());
  }
  {  // In a record whose second page was never written.
    Story story;
    const auto page = story.log.end / WalLog::kPage * WalLog::kPage + WalLog::kPage;
    story.log.add_filler(20'000);
    std::memset(story.log.at(page), 0, WalLog::kPage);
    const auto tail = scan_wal(story.log, story.log.scan(story.marker));
    ASSERT_TRUE(tail) << tail.error().what;
    EXPECT_EQ(tail->last, story.last);
  }
  {  // With the last file.
    WalLog log;
    const auto start = log.add_filler(10);
    for (log.fill_page(); log.end % log.segment_bytes != 0; log.fill_page()) log.add_filler(100);
    ASSERT_EQ(log.bytes.size(), log.segment_bytes);
    const auto tail = scan_wal(log, log.scan(start));
    ASSERT_TRUE(tail) << tail.error().what;
    EXPECT_EQ(tail->last.value, log.starts.back());
  }
}

TEST(WalReader, WhateverElseStopsItIsDoubt) {
  const auto page = [](Story& s) { return s.log.at(s.log.base); };
  const std::vector<std::pair<const char*, std::function<void(Story&)>>> breaks{
      {"page magic", [&](Story& s) { WalLog::put<std::uint16_t>(page(s), 0xD199); }},
      {"page flags", [&](Story& s) { page(s)[2] |= 0x08; }},
      {"header of the wrong kind", [&](Story& s) { page(s)[2] &= ~2; }},
      {"a page of", [&](Story& s) { WalLog::put<std::uint64_t>(page(s) + 8, s.log.base + WalLog::kPage); }},
      {"timeline 2", [&](Story& s) { page(s)[4] = 2; }},
      {"timeline 0", [&](Story& s) { page(s)[4] = 0; }},
      {"another cluster", [&](Story& s) { WalLog::put<std::uint32_t>(page(s) + 32, 16 << 20); }},
      {"another cluster", [&](Story& s) { WalLog::put<std::uint32_t>(page(s) + 36, 4096); }},
      {"checksum", [](Story& s) { s.log.at(s.foreign_commit.value)[30] ^= 1; }},
      {"checksum", [](Story& s) { s.log.at(s.foreign_commit.value)[20] ^= 1; }},
      {"follows", [](Story& s) { s.log.at(s.foreign_commit.value)[8] ^= 8; }},
      {"resource manager 22", [](Story& s) { s.log.at(s.foreign_commit.value)[17] = 22; }},
      {"a record of 7 bytes", [](Story& s) { s.log.at(s.foreign_commit.value)[0] = 7; }},
      {"a record of", [](Story& s) { s.log.at(s.foreign_commit.value)[3] = 0xFF; }},
      {"more than zeroes", [](Story& s) { s.log.at(s.log.end)[40] = 1; }},
      {"more than zeroes", [](Story& s) { std::memset(s.log.at(s.foreign_commit.value), 0, 24); }},
      {"without a header",
       [](Story& s) {
         s.log.fill_page();
         s.log.at(s.log.end)[100] = 1;
       }},
      {"does not go on",
       [](Story& s) {
         const auto next = s.log.end / WalLog::kPage * WalLog::kPage + WalLog::kPage;
         s.log.add_filler(20'000);
         s.log.at(next)[16] ^= 1;
       }},
      {"does not go on",
       [](Story& s) {
         const auto next = s.log.end / WalLog::kPage * WalLog::kPage + WalLog::kPage;
         s.log.add_filler(20'000);
         s.log.at(next)[2] &= ~1;
       }},
      {"message of unknown form",
       [](Story& s) {
         WalLog::put<std::uint64_t>(s.log.at(s.marker.value) + 24 + 5 + 8, ~std::uint64_t{0});
         s.log.mend(s.marker);
       }},
      {"commit of unknown form",
       [](Story& s) {
         s.log.at(s.foreign_commit.value)[24] = 7;  // a block, which no commit has
         s.log.mend(s.foreign_commit);
       }},
  };
  for (const auto& [words, change] : breaks) {
    Story story;
    change(story);
    const auto said = doubt_of(story.log, story.marker);
    EXPECT_NE(said.find(words), std::string::npos) << "'" << said << "' should speak of: " << words;
  }
  Story story;
  EXPECT_FALSE(doubt_of(story.log, Lsn{story.log.end + 4 * story.log.segment_bytes}).empty()) << "no such file";
  EXPECT_FALSE(doubt_of(story.log, Lsn{story.log.end}).empty()) << "no record there";
  EXPECT_FALSE(scan_wal(story.log, {.magic = 0xD110, .timeline = 1, .segment_bytes = 12345, .start = story.marker}));
}

// Whichever byte is broken: what is told is the truth up to some record, or nothing.
TEST(WalReader, NoBrokenByteMakesItTellWhatIsNot) {
  Story story;
  const auto truth = story.log.starts;
  int doubts = 0;
  for (auto at = story.log.base; at < story.log.end + 64; ++at) {
    for (const std::uint8_t change : {0x01, 0x80, 0xFF}) {
      *story.log.at(at) ^= change;
      const auto tail = scan_wal(story.log, story.log.scan(Lsn{story.log.base}));
      *story.log.at(at) ^= change;
      if (!tail) {
        ++doubts;
        continue;
      }
      ASSERT_LE(tail->records, truth.size()) << at;
      ASSERT_EQ(tail->last.value, truth[tail->records - 1]) << at;
    }
  }
  EXPECT_GT(doubts, 500) << "of the few bytes that nothing depends on, most are in headers";
}

TEST(WalReader, VersionsAndNames) {
  EXPECT_EQ(wal_page_magic(15), 0xD110);
  EXPECT_EQ(wal_page_magic(16), 0xD113);
  EXPECT_EQ(wal_page_magic(17), 0xD116);
  EXPECT_EQ(wal_page_magic(18), 0xD118);
  EXPECT_FALSE(wal_page_magic(14));
  EXPECT_FALSE(wal_page_magic(19)) << "a version that is not out is read by its own tool";
  EXPECT_EQ(wal_file_name(1, 0x3000148, 16 << 20), "000000010000000000000003");
  EXPECT_EQ(wal_file_name(0x1A, 0x16'B374D848, 16 << 20), "0000001A00000016000000B3");
  EXPECT_EQ(wal_file_name(1, 0x1'00100000, 1 << 20), "000000010000000100000001");
}

}  // namespace
}  // namespace foreshadow::kinds::postgres
