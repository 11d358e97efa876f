#include "journal/sqlite_journal.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "base/random.hpp"
#include "failing_vfs.hpp"
#include "journal/reader.hpp"
#include "sample.hpp"
#include "support/eventually.hpp"
#include "support/temp_dir.hpp"

namespace foreshadow::journal {
namespace {

using testing::TempDir;

std::vector<int> numbers(const Recovery& recovery) {
  std::vector<int> found;
  for (const auto& event : recovery.events) found.push_back(number_of(event));
  return found;
}

std::vector<int> range(int from, int to) {
  std::vector<int> all;
  for (int i = from; i < to; ++i) all.push_back(i);
  return all;
}

std::vector<Record> all_records(const std::string& path, const Filter& filter = {}) {
  auto reader = Reader::open(path);
  EXPECT_TRUE(reader) << reader.error().what;
  std::vector<Record> records;
  if (reader)
    EXPECT_TRUE(reader->for_each(filter, [&](const Record& record) {
      records.push_back(record);
      return true;
    }));
  return records;
}

void sql(const std::string& path, const std::string& text) {
  sqlite3* database = nullptr;
  ASSERT_EQ(sqlite3_open(path.c_str(), &database), SQLITE_OK);
  char* error = nullptr;
  EXPECT_EQ(sqlite3_exec(database, text.c_str(), nullptr, nullptr, &error), SQLITE_OK) << error;
  sqlite3_close(database);
}

struct Bench {
  TempDir dir;
  SqliteSettings settings{dir / "journal.db", {}, ""};
};

TEST(SqliteJournal, GivesBackWhatWasWrittenInItsOrder) {
  Bench bench;
  {
    SqliteJournal journal(bench.settings);
    const auto recovery = journal.open();
    ASSERT_TRUE(recovery) << recovery.error().what;
    EXPECT_EQ(recovery->term, 1u);
    EXPECT_EQ(recovery->last_seq, 0u);
    EXPECT_FALSE(recovery->snapshot);
    for (int i = 0; i < 10; ++i) {
      EXPECT_EQ(journal.append(sample_event(i), i % 3 == 0).value(), static_cast<unsigned>(2 * i + 1));
      EXPECT_TRUE(journal.intend(sample_effect(i), time_from_ms(5), i % 2 == 0));
    }
    EXPECT_TRUE(journal.healthy());
  }
  SqliteJournal journal(bench.settings);
  const auto recovery = journal.open();
  ASSERT_TRUE(recovery) << recovery.error().what;
  EXPECT_EQ(recovery->term, 2u);
  EXPECT_EQ(recovery->last_seq, 20u);
  EXPECT_EQ(numbers(*recovery), range(0, 10));
  EXPECT_EQ(recovery->events[3], sample_event(3));
  EXPECT_FALSE(recovery->tail_cut);
  struct stat st{};
  for (const char* file : {"journal.db", "journal.db-wal", "journal.db.lock"}) {
    ASSERT_EQ(::stat((bench.dir / file).c_str(), &st), 0) << file;
    EXPECT_EQ(st.st_mode & 0777, 0600u) << file;
  }
}

TEST(SqliteJournal, GoesOnAfterASnapshotFromItsImage) {
  Bench bench;
  {
    SqliteJournal journal(bench.settings);
    ASSERT_TRUE(journal.open());
    for (int i = 0; i < 5; ++i) ASSERT_TRUE(journal.append(sample_event(i), false));
    ASSERT_TRUE(journal.snapshot(time_from_ms(2'000'000), "image one"));
    ASSERT_TRUE(journal.snapshot(time_from_ms(2'000'001), std::string("image\0two", 9)));
    ASSERT_TRUE(journal.append(sample_event(5), true));
  }
  SqliteJournal journal(bench.settings);
  const auto recovery = journal.open();
  ASSERT_TRUE(recovery) << recovery.error().what;
  EXPECT_EQ(recovery->snapshot, std::string("image\0two", 9));
  EXPECT_EQ(recovery->snapshot_seq, 7u);
  EXPECT_EQ(numbers(*recovery), range(5, 6));
  EXPECT_EQ(recovery->last_at, sample_event(5).at);
}

TEST(SqliteJournal, GroupsUntilADurableRecordTakesItAllDown) {
  Bench bench;
  SqliteJournal journal(bench.settings);
  ASSERT_TRUE(journal.open());
  ASSERT_TRUE(journal.append(sample_event(0), false));
  EXPECT_TRUE(all_records(bench.settings.path).empty());
  ASSERT_TRUE(journal.intend(sample_effect(1), time_from_ms(5), true));
  auto seen = all_records(bench.settings.path);
  ASSERT_EQ(seen.size(), 2u);
  EXPECT_EQ(seen[0].type, Record::Type::event);
  EXPECT_EQ(seen[1].type, Record::Type::intent);
  EXPECT_EQ(seen[1].name, "page");
  ASSERT_TRUE(journal.append(sample_event(2), false));
  ASSERT_TRUE(journal.flush());
  EXPECT_EQ(all_records(bench.settings.path).size(), 3u);
  for (int i = 0; i < 1500; ++i) ASSERT_TRUE(journal.append(sample_event(i), false));
  EXPECT_GE(all_records(bench.settings.path).size(), 1000u) << "a group must not grow without bound";
}

TEST(SqliteJournal, ADurableRecordCostsASyncAndAGroupedOneNone) {
  Bench bench;
  bench.settings.vfs = failing_vfs();
  SqliteJournal journal(bench.settings);
  ASSERT_TRUE(journal.open());
  ASSERT_TRUE(journal.append(sample_event(0), true));
  const int before = disk_faults().syncs;
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(journal.append(sample_event(i), false));
  EXPECT_EQ(disk_faults().syncs, before);
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(journal.append(sample_event(i), true));
  EXPECT_GE(disk_faults().syncs, before + 10);
}

TEST(SqliteJournal, RefusesASecondController) {
  Bench bench;
  auto first = std::make_unique<SqliteJournal>(bench.settings);
  ASSERT_TRUE(first->open());
  SqliteJournal second(bench.settings);
  const auto refused = second.open();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::conflict);
  EXPECT_NE(refused.error().what.find(std::to_string(::getpid())), std::string::npos) << refused.error().what;
  EXPECT_FALSE(second.healthy());
  EXPECT_EQ(second.append(sample_event(0), true).error().code, Code::io);
  EXPECT_TRUE(first->append(sample_event(0), true));
  first.reset();
  SqliteJournal third(bench.settings);
  EXPECT_EQ(third.open().value().term, 2u);
}

TEST(SqliteJournal, TermsRiseAlsoOverAJournalThatWasMovedAway) {
  Bench bench;
  for (std::uint64_t term = 1; term <= 5; ++term) EXPECT_EQ(SqliteJournal(bench.settings).open().value().term, term);
  std::filesystem::remove(bench.settings.path);
  std::filesystem::remove(bench.settings.path + "-wal");
  EXPECT_EQ(SqliteJournal(bench.settings).open().value().term, 6u);
  std::filesystem::remove(bench.settings.path + ".lock");
  EXPECT_EQ(SqliteJournal(bench.settings).open().value().term, 7u);
  std::ofstream(bench.settings.path + ".lock") << "\xff garbage";
  EXPECT_EQ(SqliteJournal(bench.settings).open().value().term, 8u);
}

TEST(SqliteJournal, RefusesAFileOfANewerVersionOrOfSomebodyElse) {
  Bench bench;
  ASSERT_TRUE(SqliteJournal(bench.settings).open());
  sql(bench.settings.path, "PRAGMA user_version=7");
  auto refused = SqliteJournal(bench.settings).open();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::invalid);
  EXPECT_NE(refused.error().what.find("format 7"), std::string::npos) << refused.error().what;
  EXPECT_NE(refused.error().what.find("up to 1"), std::string::npos) << refused.error().what;
  EXPECT_EQ(Reader::open(bench.settings.path).error().code, Code::invalid);

  Bench other;
  sql(other.settings.path, "CREATE TABLE t(x)");
  EXPECT_EQ(SqliteJournal(other.settings).open().error().code, Code::invalid);
  Bench text;
  std::ofstream(text.settings.path) << "not a database at all, but a text of some length";
  EXPECT_EQ(SqliteJournal(text.settings).open().error().code, Code::corrupt);
  Bench folder;
  std::filesystem::create_directory(folder.settings.path);
  EXPECT_EQ(SqliteJournal(folder.settings).open().error().code, Code::invalid);
  Bench nowhere;
  nowhere.settings.path = nowhere.dir / "missing/journal.db";
  EXPECT_EQ(SqliteJournal(nowhere.settings).open().error().code, Code::io);
}

TEST(SqliteJournal, AnEventOfAnotherMakeIsInvalidNotMisread) {
  Bench bench;
  {
    SqliteJournal journal(bench.settings);
    ASSERT_TRUE(journal.open());
    ASSERT_TRUE(journal.append(sample_event(0), true));
  }
  // A valid chain over a body this version cannot read: what a newer one would have written.
  Bench other;
  {
    SqliteJournal journal(other.settings);
    ASSERT_TRUE(journal.open());
    auto event = sample_event(0);
    event.body = EffectDone{.id = 1};
    ASSERT_TRUE(journal.append(event, true));
  }
  sql(other.settings.path, "UPDATE record SET body = replace(body, 'effect_done', 'effect_gone')");
  const auto changed = SqliteJournal(other.settings).open();
  ASSERT_FALSE(changed);
  EXPECT_EQ(changed.error().code, Code::corrupt);
  EXPECT_NE(changed.error().what.find("record 1 does not match its checksum"), std::string::npos)
      << changed.error().what;
  EXPECT_NE(changed.error().what.find("Mend:"), std::string::npos);
}

TEST(SqliteJournal, EveryKindOfDamageToTheRecordIsNamedWithItsPlace) {
  const std::pair<const char*, const char*> damages[] = {
      {"DELETE FROM record WHERE seq = 4", "record 4 is missing"},
      {"UPDATE record SET at = at + 1 WHERE seq = 5", "record 5 does not match"},
      {"UPDATE record SET seq = 100 WHERE seq = 10", "record 10 is missing"},
      {"DELETE FROM record WHERE seq = 10", "record 10 is missing"},
      {"UPDATE record SET seq = 100 WHERE seq = 4; UPDATE record SET seq = 4 WHERE seq = 5; UPDATE record SET seq = 5 "
       "WHERE seq = 100",
       "record 4 does not match"},
      {"UPDATE record SET type = 9 WHERE seq = 3", "record 3 does not match"},
      {"UPDATE head SET last_seq = 9", "head is damaged"},
      {"UPDATE head SET term = 0", "head is damaged"},
      {"DELETE FROM head", "head is missing"},
      {"UPDATE image SET body = 'other'", "image after record 6 does not match"},
      {"DELETE FROM image", "image after record 6 is missing"},
  };
  for (const auto& [damage, told] : damages) {
    Bench bench;
    {
      SqliteJournal journal(bench.settings);
      ASSERT_TRUE(journal.open());
      for (int i = 0; i < 5; ++i) ASSERT_TRUE(journal.append(sample_event(i), true));
      ASSERT_TRUE(journal.snapshot(time_from_ms(2'000'000), "image"));
      for (int i = 5; i < 9; ++i) ASSERT_TRUE(journal.append(sample_event(i), true));
    }
    sql(bench.settings.path, damage);
    SqliteJournal journal(bench.settings);
    const auto opened = journal.open();
    ASSERT_FALSE(opened) << damage;
    EXPECT_EQ(opened.error().code, Code::corrupt) << damage;
    EXPECT_NE(opened.error().what.find(told), std::string::npos) << damage << ": " << opened.error().what;
    EXPECT_FALSE(journal.healthy());
    EXPECT_FALSE(journal.append(sample_event(1), true));
    // The damage is still there for a person to see, and still told.
    EXPECT_EQ(SqliteJournal(bench.settings).open().error().code, Code::conflict)
        << "the lock is kept while it is held damaged";
  }
}

TEST(SqliteJournal, ReadersSeeTheGoodPartOfADamagedRecord) {
  Bench bench;
  {
    SqliteJournal journal(bench.settings);
    ASSERT_TRUE(journal.open());
    for (int i = 0; i < 10; ++i) ASSERT_TRUE(journal.append(sample_event(i), true));
  }
  sql(bench.settings.path, "UPDATE record SET name = 'x' WHERE seq = 7");
  auto reader = Reader::open(bench.settings.path);
  ASSERT_TRUE(reader);
  int seen = 0;
  const auto read = reader->for_each({}, [&](const Record&) { return ++seen, true; });
  EXPECT_EQ(seen, 6);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, Code::corrupt);
  EXPECT_NE(read.error().what.find("record 7"), std::string::npos);
}

TEST(SqliteJournal, PrunesToAnImageAndCanStillBeReplayedFromItsBeginning) {
  Bench bench;
  bench.settings.retention = {.age = Millis{1000}, .records_max = 1'000'000};
  std::uint64_t first = 0;
  {
    SqliteJournal journal(bench.settings);
    ASSERT_TRUE(journal.open());
    for (int i = 0; i < 2000; ++i) {
      ASSERT_TRUE(journal.append(sample_event(i), false));  // 10 ms apart
      if (i % 50 == 49) ASSERT_TRUE(journal.snapshot(sample_event(i).at, "image " + std::to_string(i)));
    }
    auto reader = Reader::open(bench.settings.path);
    const auto summary = reader->summary().value();
    first = summary.first_seq;
    EXPECT_GT(first, 1000u);
    EXPECT_LT(first, summary.last_seq - 100) << "records younger than the age are kept";
    const auto image = reader->image_before(first).value();
    ASSERT_TRUE(image) << "what remains must begin with an image";
    EXPECT_EQ(image->seq, first);
  }
  const auto records = all_records(bench.settings.path);
  EXPECT_EQ(records.front().seq, first);
  EXPECT_EQ(records.front().type, Record::Type::snapshot);
  SqliteJournal journal(bench.settings);
  const auto recovery = journal.open();
  ASSERT_TRUE(recovery) << recovery.error().what;
  EXPECT_EQ(recovery->snapshot, "image 1999");
}

TEST(SqliteJournal, NeitherRecordsNorImagesNorFilesGrowWithoutBound) {
  Bench bench;
  bench.settings.retention = {.age = std::chrono::hours{1000}, .records_max = 500};
  SqliteJournal journal(bench.settings);
  ASSERT_TRUE(journal.open());
  std::uintmax_t largest_early = 0, largest_late = 0;
  for (int i = 0; i < 12'000; ++i) {
    ASSERT_TRUE(journal.append(sample_event(i), false));
    if (i % 100 == 99) {
      ASSERT_TRUE(journal.snapshot(sample_event(i).at, std::string(20'000, 'i')));
      auto& largest = i < 6000 ? largest_early : largest_late;
      for (const char* file : {"journal.db", "journal.db-wal"})
        largest = std::max(largest, std::filesystem::file_size(bench.dir / file));
    }
  }
  EXPECT_LT(largest_late, largest_early * 3 / 2);
  auto reader = Reader::open(bench.settings.path);
  const auto summary = reader->summary().value();
  EXPECT_GE(summary.last_seq - summary.first_seq, 500u);
  EXPECT_LT(summary.last_seq - summary.first_seq, 800u);
}

TEST(SqliteJournal, AReaderStoppedInMidReadHoldsUpNobody) {
  Bench bench;
  SqliteJournal journal(bench.settings);
  ASSERT_TRUE(journal.open());
  for (int i = 0; i < 2000; ++i) ASSERT_TRUE(journal.append(sample_event(i), false));
  ASSERT_TRUE(journal.flush());
  auto reader = Reader::open(bench.settings.path);
  int seen = 0;
  ASSERT_TRUE(reader->for_each({}, [&](const Record& record) {
    EXPECT_EQ(record.seq, static_cast<unsigned>(++seen));
    if (seen == 700) {
      for (int i = 0; i < 500; ++i) EXPECT_TRUE(journal.append(sample_event(i), true));
    }
    return true;
  }));
  EXPECT_EQ(seen, 2500);
}

TEST(Reader, FiltersByPlaceTimeResourceNameAndType) {
  Bench bench;
  SqliteJournal journal(bench.settings);
  ASSERT_TRUE(journal.open());
  for (int i = 0; i < 1200; ++i)
    ASSERT_TRUE(journal.append(sample_event(i, i % 3 == 0 ? "db" : i % 3 == 1 ? "shop" : ""), false));
  ASSERT_TRUE(journal.intend(sample_effect(1), time_from_ms(2'000'000), true));
  const auto& path = bench.settings.path;
  EXPECT_EQ(all_records(path).size(), 1201u);
  EXPECT_EQ(all_records(path, {.after_seq = 1150}).size(), 51u);
  EXPECT_EQ(all_records(path, {.after_seq = 5000}).size(), 0u);
  EXPECT_EQ(all_records(path, {.since = sample_event(1000).at}).size(), 201u);
  EXPECT_EQ(all_records(path, {.since = time_from_ms(0)}).size(), 1201u);
  EXPECT_EQ(all_records(path, {.since = time_from_ms(9'000'000)}).size(), 0u);
  EXPECT_EQ(all_records(path, {.resource = "db"}).size(), 800u) << "its own, and what concerns all resources";
  EXPECT_EQ(all_records(path, {.name = "page"}).size(), 1u);
  EXPECT_EQ(all_records(path, {.name = "command", .type = Record::Type::event}).size(), 1200u);
  EXPECT_EQ(all_records(path, {.type = Record::Type::intent}).size(), 1u);
  auto reader = Reader::open(path);
  int seen = 0;
  ASSERT_TRUE(reader->for_each({}, [&](const Record&) { return ++seen < 3; }));
  EXPECT_EQ(seen, 3);
  EXPECT_FALSE(reader->image_before().value());
  const auto summary = reader->summary().value();
  EXPECT_EQ(summary.term, 1u);
  EXPECT_EQ(summary.last_seq, 1201u);
  EXPECT_EQ(summary.last_at, time_from_ms(2'000'000));
}

TEST(Reader, SaysWhenThereIsNothingToRead) {
  TempDir dir;
  const auto none = Reader::open(dir / "journal.db");
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, Code::unreachable);
  EXPECT_FALSE(std::filesystem::exists(dir / "journal.db")) << "a reader makes no file";
  std::ofstream(dir / "empty.db") << "";
  EXPECT_EQ(Reader::open(dir / "empty.db").error().code, Code::unreachable);
}

TEST(SqliteJournal, AfterAFailedSyncNothingIsTrustedAgain) {
  Bench bench;
  bench.settings.vfs = failing_vfs();
  auto& faults = disk_faults();
  {
    auto owned = std::make_unique<SqliteJournal>(bench.settings);
    auto& journal = *owned;
    ASSERT_TRUE(journal.open());
    ASSERT_TRUE(journal.append(sample_event(0), true));
    // The kernel reports a lost write once; the next fsync "succeeds". That is the trap.
    faults.sync_fails_once = true;
    faults.syncs_left = 0;
    const auto failed = journal.append(sample_event(1), true);
    ASSERT_FALSE(failed);
    EXPECT_EQ(failed.error().code, Code::io);
    EXPECT_NE(failed.error().what.find("restart the controller"), std::string::npos) << failed.error().what;
    EXPECT_EQ(faults.syncs_left, -1) << "the disk is well again, and still";
    EXPECT_FALSE(journal.healthy());
    EXPECT_EQ(journal.append(sample_event(2), true).error(), failed.error());
    EXPECT_EQ(journal.append(sample_event(2), false).error(), failed.error());
    EXPECT_EQ(journal.intend(sample_effect(2), {}, true).error(), failed.error());
    EXPECT_EQ(journal.snapshot({}, "x").error(), failed.error());
    EXPECT_EQ(journal.flush().error(), failed.error());
    const int before = faults.syncs;
    owned.reset();
    EXPECT_EQ(faults.syncs, before) << "closing must not try again either";
  }
  faults.sync_fails_once = false;
  SqliteJournal journal(bench.settings);
  const auto recovery = journal.open();
  ASSERT_TRUE(recovery) << recovery.error().what;
  ASSERT_GE(recovery->events.size(), 1u);
  EXPECT_EQ(number_of(recovery->events[0]), 0);
  EXPECT_LE(recovery->events.size(), 2u) << "nothing of what was refused, at most the record whose sync failed";
}

TEST(SqliteJournal, ASyncThatFailsInACheckpointCountsToo) {
  auto& faults = disk_faults();
  auto large = sample_event(0);
  std::get<Command>(large.body).reason.assign(400'000, 'r');  // about 100 pages each: a checkpoint every ten commits
  constexpr int kCommits = 12;
  // Fail at the n-th sync, for every n that a run of commits with its checkpoint comes to.
  for (int n = 0;; ++n) {
    Bench bench;
    bench.settings.vfs = failing_vfs();
    SqliteJournal journal(bench.settings);
    ASSERT_TRUE(journal.open());
    faults.sync_fails_once = true;
    faults.syncs_left = n;
    bool broken = false;
    for (int i = 0; i < kCommits && !broken; ++i) broken = !journal.append(large, true);
    const bool fired = faults.syncs_left < 0;
    faults.syncs_left = -1;
    faults.sync_fails_once = false;
    if (!fired) {
      EXPECT_GT(n, kCommits + 1) << "no checkpoint was met";
      break;
    }
    EXPECT_TRUE(broken) << "the failure of sync " << n << " was not noticed";
    EXPECT_FALSE(journal.healthy());
  }
}

TEST(SqliteJournal, AnOlderCopyPutBackIsTold) {
  Bench bench;
  ASSERT_TRUE(SqliteJournal(bench.settings).open());
  std::filesystem::copy_file(bench.settings.path, bench.dir / "copy");
  ASSERT_TRUE(SqliteJournal(bench.settings).open());
  std::filesystem::rename(bench.dir / "copy", bench.settings.path);
  const auto opened = SqliteJournal(bench.settings).open();
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Code::corrupt);
  EXPECT_NE(opened.error().what.find("older copy"), std::string::npos) << opened.error().what;
}

TEST(SqliteJournal, AFullDiskStopsItAndARestartWithRoomGoesOn) {
  Bench bench;
  bench.settings.vfs = failing_vfs();
  auto& faults = disk_faults();
  int acknowledged = 0;
  {
    SqliteJournal journal(bench.settings);
    ASSERT_TRUE(journal.open());
    faults.writes_left = 60;
    while (journal.append(sample_event(acknowledged), true)) ASSERT_LT(++acknowledged, 1000);
    EXPECT_FALSE(journal.healthy());
    faults.writes_left = -1;
    EXPECT_FALSE(journal.append(sample_event(acknowledged), true)) << "room alone does not make it trusted again";
  }
  EXPECT_GT(acknowledged, 3);
  SqliteJournal journal(bench.settings);
  const auto recovery = journal.open();
  ASSERT_TRUE(recovery) << recovery.error().what;
  EXPECT_EQ(numbers(*recovery), range(0, acknowledged));
}

TEST(SqliteJournal, OpeningOnABadDiskFailsAndCanBeTriedAgain) {
  Bench bench;
  bench.settings.vfs = failing_vfs();
  auto& faults = disk_faults();
  int failures = 0;
  for (int n = 0; n < 100; ++n) {
    faults.sync_fails_once = true;
    faults.syncs_left = n;
    const auto opened = SqliteJournal(bench.settings).open();
    const bool fired = faults.syncs_left < 0;
    faults.syncs_left = -1;
    if (!fired) break;
    if (!opened) {
      ++failures;
      EXPECT_EQ(opened.error().code, Code::io) << opened.error().what;
    }
  }
  faults.sync_fails_once = false;
  EXPECT_GT(failures, 0);
  EXPECT_TRUE(SqliteJournal(bench.settings).open());
}

// A controller that appends for ever, telling its parent each acknowledged number, and groups some records in between.
[[noreturn]] void write_until_killed(const SqliteSettings& settings, int from, int pipe) {
  SqliteJournal journal(settings);
  if (!journal.open()) ::_exit(1);
  for (int i = from;; ++i) {
    if (!journal.append(sample_event(i), false)) ::_exit(2);
    if (i % 7 == 3 && !journal.snapshot(sample_event(i).at, "image " + std::to_string(i))) ::_exit(3);
    if (!journal.intend(sample_effect(i), sample_event(i).at, i % 2 == 0)) ::_exit(4);
    if (i % 2 == 0 && ::write(pipe, &i, sizeof i) != sizeof i) ::_exit(5);
  }
}

TEST(SqliteJournal, KilledAtAnyMomentItKeepsEveryAcknowledgedRecordInOrder) {
  Bench bench;
  bench.settings.retention = {.age = Millis{2000}, .records_max = 100'000};
  Random random(42);
  int next = 0;
  std::uint64_t term = 0;
  for (int round = 0; round < 30; ++round) {
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    const pid_t child = ::fork();
    if (child == 0) write_until_killed(bench.settings, next, ends[1]);
    ::close(ends[1]);
    int acknowledged = -1, number = 0;
    for (auto wanted = 1 + random.below(40); wanted > 0 && ::read(ends[0], &number, sizeof number) == sizeof number;
         --wanted)
      acknowledged = number;
    // Somewhere in the middle of the next ones.
    const auto spin = std::chrono::steady_clock::now() + std::chrono::microseconds(random.below(3000));
    while (std::chrono::steady_clock::now() < spin) {
    }
    ::kill(child, SIGKILL);
    int status = 0;
    ::waitpid(child, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the writer failed by itself with " << WEXITSTATUS(status);
    while (::read(ends[0], &number, sizeof number) == sizeof number) acknowledged = number;
    ::close(ends[0]);

    SqliteJournal journal(bench.settings);
    const auto recovery = journal.open();
    ASSERT_TRUE(recovery) << recovery.error().what;
    EXPECT_EQ(recovery->term, term + 2);
    term = recovery->term;
    // In order, without a gap, from the image to at least the last acknowledged one, each effect after its event.
    auto seen = numbers(*recovery);
    int image = recovery->snapshot ? std::stoi(recovery->snapshot->substr(6)) : -1;
    EXPECT_EQ(seen, range(image + 1, image + 1 + static_cast<int>(seen.size())));
    const int last = image + static_cast<int>(seen.size());
    ASSERT_GE(last, acknowledged);
    int last_event = -1, last_intent = -1;
    for (const auto& record : all_records(bench.settings.path)) {
      if (record.type == Record::Type::event)
        last_event = std::stoi(record.body.substr(record.body.find("number ") + 7));
      if (record.type == Record::Type::intent && last_event >= 0) {  // the record may begin between the two
        last_intent = std::stoi(record.body.substr(record.body.find("number ") + 7));
        EXPECT_EQ(last_intent, last_event);
      }
    }
    ASSERT_GE(last_intent, acknowledged);
    next = last + 1;
  }
  EXPECT_GT(next, 30);
}

}  // namespace
}  // namespace foreshadow::journal
