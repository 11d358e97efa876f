#include "journal/memory_journal.hpp"

#include <gtest/gtest.h>

#include "journal/chain.hpp"
#include "sample.hpp"

namespace foreshadow::journal {
namespace {

TEST(MemoryJournal, ACrashLosesExactlyWhatNobodyWasPromised) {
  MemoryDisk disk;
  MemoryJournal first(disk);
  ASSERT_EQ(first.open().value().term, 1u);
  ASSERT_TRUE(first.append(sample_event(0), false));
  ASSERT_TRUE(first.intend(sample_effect(1), {}, true));
  ASSERT_TRUE(first.append(sample_event(2), false));
  disk.crash();
  EXPECT_FALSE(first.healthy());
  EXPECT_FALSE(first.append(sample_event(3), true)) << "a dead controller writes nothing";
  MemoryJournal second(disk);
  const auto recovery = second.open();
  ASSERT_TRUE(recovery);
  EXPECT_EQ(recovery->term, 2u);
  EXPECT_EQ(recovery->last_seq, 2u);
  ASSERT_EQ(recovery->events.size(), 1u);
  EXPECT_EQ(recovery->events[0], sample_event(0));
  EXPECT_EQ(second.append(sample_event(4), true).value(), 3u);
}

TEST(MemoryJournal, ACleanEndKeepsAllAndTheLockIsExclusive) {
  MemoryDisk disk;
  {
    MemoryJournal first(disk);
    ASSERT_TRUE(first.open());
    ASSERT_TRUE(first.append(sample_event(0), false));
    MemoryJournal second(disk);
    EXPECT_EQ(second.open().error().code, Code::conflict);
    EXPECT_EQ(second.append(sample_event(1), true).error().code, Code::io);
  }
  MemoryJournal third(disk);
  EXPECT_EQ(third.open().value().events.size(), 1u);
}

TEST(MemoryJournal, SnapshotsCarryOnAndOldRecordsGo) {
  MemoryDisk disk({.age = Millis{100}, .records_max = 1'000'000});
  {
    MemoryJournal journal(disk);
    ASSERT_TRUE(journal.open());
    for (int i = 0; i < 200; ++i) {
      ASSERT_TRUE(journal.append(sample_event(i), false));
      if (i % 20 == 19) ASSERT_TRUE(journal.snapshot(sample_event(i).at, "image " + std::to_string(i)));
    }
    ASSERT_TRUE(journal.append(sample_event(200), true));
  }
  EXPECT_LT(disk.records().size(), 60u);
  MemoryJournal journal(disk);
  const auto recovery = journal.open();
  EXPECT_EQ(recovery->snapshot, "image 199");
  ASSERT_EQ(recovery->events.size(), 1u);
  EXPECT_EQ(number_of(recovery->events[0]), 200);
  EXPECT_EQ(recovery->last_at, sample_event(200).at);
}

TEST(MemoryJournal, AFailedDiskAndADamagedRecordBehaveAsOnTheRealOne) {
  MemoryDisk disk;
  MemoryJournal journal(disk);
  ASSERT_TRUE(journal.open());
  ASSERT_TRUE(journal.append(sample_event(0), true));
  disk.fail_writes("disk full");
  EXPECT_TRUE(journal.append(sample_event(1), false)) << "grouped: nothing is written yet";
  EXPECT_EQ(journal.append(sample_event(2), true).error().code, Code::io);
  EXPECT_FALSE(journal.healthy());
  EXPECT_EQ(journal.append(sample_event(3), false).error().what, "disk full");
  disk.crash();
  disk.damage(1);
  MemoryJournal next(disk);
  EXPECT_EQ(next.open().error().code, Code::corrupt);
  EXPECT_FALSE(next.healthy());
  EXPECT_EQ(next.append(sample_event(3), true).error().code, Code::corrupt);
}

TEST(Chain, CoversEveryFieldAndTheRecordBefore) {
  const Record record{3, Record::Type::event, time_from_ms(7), "shop", "command", "{}"};
  const auto sum = chained_sum(1, record);
  auto other = record;
  EXPECT_NE(chained_sum(2, record), sum);
  other.seq = 4;
  EXPECT_NE(chained_sum(1, other), sum);
  other = record, other.type = Record::Type::intent;
  EXPECT_NE(chained_sum(1, other), sum);
  other = record, other.at = time_from_ms(8);
  EXPECT_NE(chained_sum(1, other), sum);
  other = record, other.resource = "shopc", other.name = "ommand";
  EXPECT_NE(chained_sum(1, other), sum);
  other = record, other.body = "{ }";
  EXPECT_NE(chained_sum(1, other), sum);
}

TEST(Retention, CutsAtAnImageAndNeverPastTheNewest) {
  const Retention retention{.age = Millis{100}, .records_max = 50};
  const ImageMark images[] = {{10, time_from_ms(0)}, {20, time_from_ms(100)}, {30, time_from_ms(200)}};
  EXPECT_EQ(keep_from(retention, {}, 1000, time_from_ms(5000)), std::nullopt);
  EXPECT_EQ(keep_from(retention, images, 35, time_from_ms(99)), std::nullopt);
  EXPECT_EQ(keep_from(retention, images, 35, time_from_ms(150)), 10u);
  EXPECT_EQ(keep_from(retention, images, 35, time_from_ms(250)), 20u);
  EXPECT_EQ(keep_from(retention, images, 35, time_from_ms(9000)), 30u);
  EXPECT_EQ(keep_from(retention, images, 75, time_from_ms(0)), 20u);
  EXPECT_EQ(keep_from(retention, images, 9000, time_from_ms(0)), 30u);
}

TEST(Retention, ThinsImagesButKeepsTheFirstAndTheNewestTwo) {
  const Retention retention{.age = Millis{160'000}, .records_max = 1600};
  std::vector<ImageMark> images;
  for (std::uint64_t seq = 1; seq <= 2000; seq += 10) {
    images.push_back({seq, time_from_ms(static_cast<std::int64_t>(seq))});
    if (const auto gone = thin_out(retention, images))
      std::erase_if(images, [&](const ImageMark& m) { return m.seq == *gone; });
  }
  EXPECT_LE(images.size(), 24u);
  EXPECT_GE(images.size(), 16u);
  EXPECT_EQ(images.front().seq, 1u);
  EXPECT_EQ(images.back().seq, 1991u);
  EXPECT_EQ(images[images.size() - 2].seq, 1981u);
}

}  // namespace
}  // namespace foreshadow::journal
