#include "io/line_log.hpp"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>
#include <vector>

#include "support/eventually.hpp"
#include "support/temp_dir.hpp"

namespace foreshadow::io {
namespace {

using testing::eventually;

std::vector<std::string> lines_of(const std::string& path) {
  std::ifstream in(path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

std::unique_ptr<LineLog> open(const std::string& path, std::size_t buffer = 1 << 16, Millis interval = Millis{5}) {
  auto log = LineLog::open({.path = path, .buffer_bytes = buffer, .flush_interval = interval});
  EXPECT_TRUE(log) << log.error().what;
  return std::move(*log);
}

TEST(LineLog, writes_lines_in_order_many_times_round_its_ring) {
  const testing::TempDir dir;
  const auto path = dir / "log";
  auto log = open(path, 4096);
  std::vector<std::string> sent;
  for (int i = 0; i < 5000; ++i) {
    sent.push_back("line " + std::to_string(i) + std::string(static_cast<std::size_t>(i) % 97, 'x'));
    ASSERT_TRUE(eventually([&] { return log->push(sent.back()); }));
  }
  ASSERT_TRUE(eventually([&] { return lines_of(path).size() == sent.size(); }));
  EXPECT_EQ(lines_of(path), sent);
  EXPECT_EQ(std::filesystem::status(path).permissions() & std::filesystem::perms::others_all,
            std::filesystem::perms::none);
}

TEST(LineLog, lines_of_several_writers_do_not_mix_and_each_keeps_its_order) {
  const testing::TempDir dir;
  constexpr std::size_t kWriters = 3;
  constexpr int kLines = 3000;
  auto log =
      LineLog::open({.path = dir / "log", .buffer_bytes = 4096, .writers = kWriters, .flush_interval = Millis{1}});
  ASSERT_TRUE(log) << log.error().what;
  std::vector<std::thread> writers;
  for (std::size_t w = 0; w < kWriters; ++w)
    writers.emplace_back([&, w] {
      for (int i = 0; i < kLines; ++i) {
        const auto line = std::to_string(w) + " " + std::to_string(i) + " " + std::string(10 + 30 * w, 'x');
        EXPECT_TRUE(eventually([&] { return (*log)->push(line, w); }));
      }
    });
  for (auto& writer : writers) writer.join();
  log->reset();
  std::vector<int> next(kWriters);
  for (const auto& line : lines_of(dir / "log")) {
    std::istringstream in(line);
    std::size_t w = 0;
    int i = 0;
    std::string rest;
    ASSERT_TRUE(in >> w >> i >> rest) << line;
    ASSERT_LT(w, kWriters);
    EXPECT_EQ(i, next[w]++);
    EXPECT_EQ(rest, std::string(10 + 30 * w, 'x'));
  }
  for (const int lines : next) EXPECT_EQ(lines, kLines);
}

TEST(LineLog, drops_and_counts_what_has_no_room_and_never_waits) {
  const testing::TempDir dir;
  // Nobody looks at the ring before it is half full, and then within the same breath: fill it at once.
  auto log = open(dir / "log", 1024, Millis{60'000});
  EXPECT_FALSE(log->push(std::string(2000, 'x')));
  EXPECT_EQ(log->dropped(), 1U);
  EXPECT_TRUE(log->push(std::string(1023, 'y')));
  log.reset();
  EXPECT_EQ(lines_of(dir / "log").at(0), std::string(1023, 'y'));
}

TEST(LineLog, writes_what_is_left_when_it_ends) {
  const testing::TempDir dir;
  auto log = open(dir / "log", 1 << 16, Millis{60'000});
  for (int i = 0; i < 10; ++i) log->push("last words");
  log.reset();
  EXPECT_EQ(lines_of(dir / "log").size(), 10U);
}

TEST(LineLog, wakes_up_when_its_ring_fills) {
  const testing::TempDir dir;
  auto log = open(dir / "log", 1024, Millis{60'000});
  // More than its ring holds passes long before the interval ends.
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(eventually([&] { return log->push(std::string(400, 'z')); })) << i;
}

TEST(LineLog, follows_a_rename_and_a_removal) {
  const testing::TempDir dir;
  const auto path = dir / "log";
  auto log = open(path);
  log->push("before");
  ASSERT_TRUE(eventually([&] { return lines_of(path).size() == 1; }));
  std::filesystem::rename(path, dir / "log.1");
  log->push("after");
  ASSERT_TRUE(eventually([&] { return lines_of(path) == std::vector<std::string>{"after"}; }));
  EXPECT_EQ(lines_of(dir / "log.1"), std::vector<std::string>{"before"});
  std::filesystem::remove(path);
  log->push("anew");
  ASSERT_TRUE(eventually([&] { return lines_of(path) == std::vector<std::string>{"anew"}; }));
  // Truncated in place, as copytruncate does.
  std::filesystem::resize_file(path, 0);
  log->push("again");
  ASSERT_TRUE(eventually([&] { return lines_of(path) == std::vector<std::string>{"again"}; }));
  EXPECT_EQ(log->dropped(), 0U);
}

// A limit on the size of files stands for a full disk: the kernel takes a part of the bytes, then refuses.
TEST(LineLog, counts_what_the_disk_refuses_and_goes_on_after_it) {
  const testing::TempDir dir;
  const auto path = dir / "log";
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  rlimit tight = before;
  tight.rlim_cur = 25;
  auto log = open(path);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &tight), 0);
  for (int i = 0; i < 4; ++i) log->push("0123456789");
  const bool refused = eventually([&] { return log->dropped() == 2; });
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, old_handler);
  EXPECT_TRUE(refused) << log->dropped();
  log->push("whole");
  // The line that was cut is nobody else's beginning.
  ASSERT_TRUE(eventually([&] { return lines_of(path).size() == 4; }));
  EXPECT_EQ(lines_of(path), (std::vector<std::string>{"0123456789", "0123456789", "012", "whole"}));
}

TEST(LineLog, refuses_what_is_no_file) {
  const testing::TempDir dir;
  EXPECT_FALSE(LineLog::open({.path = dir.path()}));
  EXPECT_FALSE(LineLog::open({.path = dir / "no/such/folder"}));
  ASSERT_EQ(::mkfifo((dir / "pipe").c_str(), 0600), 0);
  const auto pipe = LineLog::open({.path = dir / "pipe"});
  ASSERT_FALSE(pipe);
}

}  // namespace
}  // namespace foreshadow::io
