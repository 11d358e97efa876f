// Our own reader against pg_waldump, over logs that real servers wrote: whenever ours makes a claim, it is the tool's
// claim, to the last record. What it doubts it may doubt; but not what a killed server leaves behind.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <thread>

#include "kinds/postgres/data_dir.hpp"
#include "kinds/postgres/server.hpp"
#include "kinds/postgres/settings.hpp"
#include "kinds/postgres/wal.hpp"
#include "kinds/postgres/wal_files.hpp"
#include "kinds/postgres/wal_reader.hpp"
#include "support/eventually.hpp"
#include "support/pg_cluster.hpp"

namespace foreshadow::testing {
namespace {

using namespace std::chrono_literals;
using namespace kinds::postgres;
namespace fs = std::filesystem;

constexpr std::uint64_t kSegment = 1 << 20;

std::string bytes_of(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// A data directory with nothing but a log, whose bytes may be changed.
class Copy {
 public:
  Copy() {
    PgCluster::run({"/bin/mkdir", dir_.path() + "/pg_wal"});
    write("PG_VERSION", "15\n");
  }
  void write(const std::string& name, const std::string& content) {
    const auto path = dir_.path() + "/" + name;
    std::ofstream(path, std::ios::binary | std::ios::trunc) << content;
    if (::geteuid() == 0 && ::chown(path.c_str(), PgCluster::uid(), PgCluster::gid()) != 0) std::abort();
  }
  void write_segment(std::uint64_t address, const std::string& content) {
    write("pg_wal/" + wal_file_name(1, address, kSegment), content);
  }
  DataDir open() const { return *DataDir::open(dir_.path()); }

 private:
  PgDirectory dir_;
};

struct Compared {
  bool claimed = false;  // by our own reader
  std::string doubt;
  std::size_t records = 0;
  std::size_t commits = 0;
};

// Both readers over one log.
Compared compare(const DataDir& dir, Lsn start, Lsn from) {
  static const PgSettings settings = *pg_settings({{"bin_dir", PgCluster::bin_dir()}});
  Compared out;
  const auto ours = scan_wal_files(dir, 1, start, from);
  if (!ours) {
    EXPECT_EQ(ours.error().code, Code::corrupt) << ours.error().what;
    out.doubt = ours.error().what;
    return out;
  }
  out.claimed = true;
  out.records = ours->records;
  out.commits = ours->commits.size();
  const auto theirs = read_wal_by_tool(settings, dir, 1, start, from, {});
  EXPECT_TRUE(theirs) << start.text() << ": " << theirs.error().what;
  if (!theirs) return out;
  EXPECT_TRUE(theirs->by_tool);
  EXPECT_EQ(ours->records, theirs->records) << start.text();
  EXPECT_EQ(ours->last, theirs->last) << start.text();
  EXPECT_EQ(ours->marker_commit, theirs->marker_commit) << start.text();
  EXPECT_EQ(ours->last_commit, theirs->last_commit) << start.text();
  EXPECT_EQ(ours->commits.size(), theirs->commits.size()) << start.text();
  for (std::size_t i = 0; i < std::min(ours->commits.size(), theirs->commits.size()); ++i) {
    EXPECT_EQ(ours->commits[i].at, theirs->commits[i].at);
    const auto word = [](const std::string& text) { return text.substr(0, text.find(' ')); };
    EXPECT_EQ(word(ours->commits[i].what), word(theirs->commits[i].what));
  }
  return out;
}

// One server that has done everything that leaves a mark of its own in a log, killed; its log stays for all tests here.
class WalOfARealServer : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (!PgCluster::available()) return;
    dir_ = new PgDirectory;
    PgCluster cluster;
    cluster.init(dir_->path(), {.settings = {{"wal_keep_size", "1GB"},
                                             {"max_wal_size", "64MB"},
                                             {"min_wal_size", "32MB"},
                                             {"wal_level", "logical"},
                                             {"max_prepared_transactions", "10"},
                                             {"shared_buffers", "32MB"}},
                                .arguments = {"--wal-segsize=1"}});
    cluster.start();
    first_ = parse_lsn(cluster.exec("SELECT pg_current_wal_lsn()"))->value;
    PgCluster::run({PgCluster::bin_dir() + "/pgbench", "-i", "-q", "-s", "2", cluster.conninfo()});
    PgCluster::run({PgCluster::bin_dir() + "/pgbench", "-n", "-c", "4", "-t", "2500", cluster.conninfo()});
    cluster.exec("CREATE TABLE odd (v text)");
    for (int i = 0; i < 40; ++i) {
      cluster.exec(
          fmt::format("BEGIN; INSERT INTO odd VALUES ('{0}'); SAVEPOINT a; INSERT INTO odd VALUES (repeat('x', "
                      "{1})); PREPARE TRANSACTION 'g{0}'",
                      i, i * 700));
      cluster.exec(fmt::format("{} PREPARED 'g{}'", i % 3 == 0 ? "ROLLBACK" : "COMMIT", i));
      cluster.exec(fmt::format("BEGIN; SELECT pg_logical_emit_message(true, 'foreshadow', 'epoch {}'); COMMIT", i));
      cluster.exec("SELECT pg_logical_emit_message(false, 'foreshadow', repeat('y', 20000))");
      cluster.exec("BEGIN; INSERT INTO odd VALUES ('never'); ROLLBACK");
      if (i % 10 == 0) cluster.exec("SELECT pg_switch_wal()");
      if (i % 13 == 0) cluster.exec("CHECKPOINT");
    }
    PgCluster::run(
        {PgCluster::bin_dir() + "/pgbench", "-n", "-c", "4", "-M", "prepared", "-t", "2500", cluster.conninfo()});
    last_ = parse_lsn(cluster.exec("SELECT pg_current_wal_lsn()"))->value;
    cluster.kill();
    data_dir_ = cluster.data_dir();
  }
  static void TearDownTestSuite() { delete dir_; }
  void SetUp() override {
    if (dir_ == nullptr) GTEST_SKIP() << "no PostgreSQL server is installed";
  }
  static std::string segment(std::uint64_t address) {
    return bytes_of(data_dir_ + "/pg_wal/" + wal_file_name(1, address, kSegment));
  }

  static inline PgDirectory* dir_ = nullptr;
  static inline std::string data_dir_;
  static inline std::uint64_t first_ = 0, last_ = 0;
};

TEST_F(WalOfARealServer, AllOfItReadsTheSame) {
  // In pieces, because pg_waldump prints a hundred bytes for each record; a file of a former life ends each. (One of
  // zeroes would do for us, but pg_waldump takes the segment size from any file it meets first.)
  constexpr std::uint64_t kPieces = 4;
  std::size_t records = 0, commits = 0;
  std::uint64_t bytes = 0;
  for (auto at = first_ / kSegment * kSegment; at < last_; at += kPieces * kSegment) {
    Copy copy;
    auto address = at;
    for (; address < at + kPieces * kSegment && address < last_; address += kSegment)
      copy.write_segment(address, segment(address));
    copy.write_segment(address, segment(first_));
    bytes += address - at;
    const auto result = compare(copy.open(), Lsn{std::max(at, first_)}, Lsn{at + kSegment});
    EXPECT_TRUE(result.claimed) << Lsn{at}.text() << ": " << result.doubt;
    records += result.records;
    commits += result.commits;
  }
  EXPECT_GT(bytes, 50U << 20) << "the log of this test is to be long";
  EXPECT_GT(commits, 5'000U);
  std::printf("  %.1f MB, %zu records, %zu commits read the same by both\n", static_cast<double>(bytes) / (1 << 20),
              records, commits);
}

TEST_F(WalOfARealServer, FromAnywhereAndWithEveryKindOfTornTail) {
  std::mt19937_64 random(15);
  const auto below = [&](std::uint64_t n) { return random() % n; };
  int claims = 0, doubts = 0;
  for (int round = 0; round < 40; ++round) {
    SCOPED_TRACE(round);
    // Two segments anywhere, cut somewhere in the second, with what may lie behind a cut.
    const auto count = (last_ - first_) / kSegment - 3;
    const auto at = (first_ / kSegment + 1 + below(count)) * kSegment;
    auto tail = segment(at + kSegment);
    const auto cut = round % 3 == 0 ? below(kSegment / kWalPage) * kWalPage : below(kSegment);
    switch (round % 4) {
      case 0:
        std::fill(tail.begin() + static_cast<std::ptrdiff_t>(cut), tail.end(), '\0');
        break;
      case 1: {  // the file's former life
        const auto old = segment(at);
        std::copy(old.begin() + static_cast<std::ptrdiff_t>(cut), old.end(),
                  tail.begin() + static_cast<std::ptrdiff_t>(cut));
        break;
      }
      case 2:  // one sector that the disk never got
        for (auto i = cut / 512 * 512; i < std::min<std::uint64_t>(cut / 512 * 512 + 512, kSegment); ++i)
          tail[i] = '\0';
        break;
      default:
        tail[cut] = static_cast<char>(tail[cut] ^ (1 << below(8)));
    }
    Copy copy;
    copy.write_segment(at, segment(at));
    copy.write_segment(at + kSegment, tail);
    copy.write_segment(at + 2 * kSegment, segment(first_));
    const auto result = compare(copy.open(), Lsn{at + kSegment / 2 + below(kSegment / 2 + cut)}, Lsn{at + kSegment});
    (result.claimed ? claims : doubts)++;
  }
  EXPECT_GT(claims, 5);
  EXPECT_GT(doubts, 5);
  std::printf("  %d claims, all of them the tool's; %d doubts\n", claims, doubts);
}

// What the stall rests on: after a kill at any moment ours needs no second opinion, or hardly ever.
TEST(WalReaderPg, AKilledServersLogIsReadWithoutTheTool) {
  if (!PgCluster::available()) GTEST_SKIP() << "no PostgreSQL server is installed";
  PgDirectory dir;
  PgCluster cluster;
  cluster.init(dir.path(), {.settings = {{"max_wal_size", "8MB"}, {"min_wal_size", "4MB"}, {"wal_keep_size", "0"}},
                            .arguments = {"--wal-segsize=1"}});
  cluster.start();
  PgCluster::run({PgCluster::bin_dir() + "/pgbench", "-i", "-q", cluster.conninfo()});
  int claims = 0;
  std::string doubts;
  constexpr int kKills = 8;
  for (int i = 0; i < kKills; ++i) {
    std::jthread load([&] {
      try {
        PgCluster::run({PgCluster::bin_dir() + "/pgbench", "-n", "-c", "4", "-T", "30", cluster.conninfo()});
      } catch (const std::exception&) {
        // Its server is killed; that is the test.
      }
    });
    const auto before = parse_lsn(cluster.exec("SELECT pg_current_wal_lsn()"))->value;
    std::uint64_t marker = 0;
    ASSERT_TRUE(eventually([&] {
      marker = parse_lsn(cluster.exec("SELECT pg_current_wal_flush_lsn()"))->value;
      return marker > before + 2'000'000;
    }));
    cluster.kill();
    load.join();
    const auto data = DataDir::open(cluster.data_dir());
    ASSERT_TRUE(data);
    const auto result = compare(*data, Lsn{marker}, Lsn{marker});
    if (result.claimed)
      ++claims;
    else
      doubts += result.doubt + "; ";
    cluster.start();
  }
  std::printf("  %d of %d without the tool; %s\n", claims, kKills, doubts.c_str());
  EXPECT_GE(claims, kKills / 2) << doubts;
}

}  // namespace
}  // namespace foreshadow::testing
