#include "observe/procfs.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include "io/files.hpp"

namespace foreshadow::observe {
namespace {

constexpr const char* stat_line =
    "18286 (a) R (b) S 18281 18281 5048 0 -1 4194304 98 0 0 0 11 7 3 2 20 0 5 0 172648 3133440 380 184467440737095";

TEST(Procfs, stat_survives_a_hostile_command_name) {
  const auto stat = parse_proc_stat(stat_line);
  ASSERT_TRUE(stat);
  EXPECT_EQ(stat->pid, 18286);
  EXPECT_EQ(stat->state, 'S');
  EXPECT_EQ(stat->ppid, 18281);
  EXPECT_EQ(stat->own_ticks, 18U);
  EXPECT_EQ(stat->reaped_ticks, 5U);
  EXPECT_EQ(stat->threads, 5U);
  EXPECT_EQ(stat->start_ticks, 172648U);
  EXPECT_FALSE(stat->dead());
}

TEST(Procfs, every_truncated_stat_is_refused_or_whole) {
  const std::string_view whole(stat_line);
  for (std::size_t n = 0; n < whole.size(); ++n) {
    const auto stat = parse_proc_stat(whole.substr(0, n));
    // Cut inside the last field that we read, or before it: never a half value passed on as a shorter record.
    if (n < whole.find(" 172648")) EXPECT_FALSE(stat) << n;
  }
}

TEST(Procfs, own_stat_reads) {
  const auto stat = parse_proc_stat(io::read_file("/proc/self/stat", 65536).value());
  ASSERT_TRUE(stat);
  EXPECT_EQ(stat->pid, ::getpid());
  EXPECT_EQ(stat->ppid, ::getppid());
  EXPECT_GT(stat->start_ticks, 0U);
}

TEST(Procfs, a_zombie_is_dead) {
  EXPECT_TRUE(parse_proc_stat("7 (x) Z 1 1 1 0 -1 4 0 0 0 0 0 0 0 0 20 0 1 0 99 0 0")->dead());
}

TEST(Procfs, memory_by_sort) {
  EXPECT_EQ(parse_proc_status("Name:\tx\nVmRSS:\t  300 kB\nRssAnon:\t 100 kB\nRssFile:\t 150 kB\nRssShmem:\t 50 kB\n"),
            (ProcMemory{300 << 10, 100 << 10, 200 << 10}));
  EXPECT_EQ(parse_proc_status("VmRSS: 8 kB\n"), (ProcMemory{8192, 8192, 0}));
  EXPECT_FALSE(parse_proc_status("Name: kthread\n"));
  EXPECT_FALSE(parse_proc_status("VmRSS: 99999999999999999999 kB\n"));
}

TEST(Procfs, io_limits_and_numbers) {
  EXPECT_EQ(parse_proc_io("rchar: 7\nread_bytes: 4096\nwrite_bytes: 8192\ncancelled_write_bytes: 1\n"),
            (ProcIo{4096, 8192}));
  EXPECT_FALSE(parse_proc_io("read_bytes: x\nwrite_bytes: 1\n"));
  EXPECT_EQ(
      parse_open_files_max("Max processes  5 5 p\nMax open files            20000                30000   files\n"),
      20000U);
  EXPECT_FALSE(parse_open_files_max("Max open files            unlimited            unlimited   files\n"));
  EXPECT_EQ(parse_number("4096\n"), 4096U);
  EXPECT_FALSE(parse_number("max\n"));
  EXPECT_FALSE(parse_number("-1"));
  EXPECT_FALSE(parse_number("1 2"));
  EXPECT_EQ(find_number("inactive_file 12\nactive_file 30\n", "active_file"), 30U);
  EXPECT_FALSE(find_number("total_inactive_file 12\n", "inactive_file"));
}

TEST(Procfs, pids) {
  EXPECT_EQ(parse_pid("1234\n/var/lib/pg\n1700000000\n"), 1234);
  EXPECT_EQ(parse_pid("  77  "), 77);
  EXPECT_FALSE(parse_pid(""));
  EXPECT_FALSE(parse_pid("-5"));
  EXPECT_FALSE(parse_pid("0"));
  EXPECT_FALSE(parse_pid("99999999999"));
  EXPECT_FALSE(parse_pid("12 34"));
  EXPECT_FALSE(parse_pid("12x"));
  EXPECT_EQ(parse_pids("3 4 x 5\n"), (std::vector<int>{3, 4, 5}));
}

}  // namespace
}  // namespace foreshadow::observe
