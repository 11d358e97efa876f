#include "io/files.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <thread>
#include <vector>

#include "support/temp_dir.hpp"

namespace foreshadow::io {
namespace {

using testing::TempDir;

unsigned mode_of(const std::string& path) {
  struct stat st{};
  return ::stat(path.c_str(), &st) == 0 ? st.st_mode & 07777 : 0;
}

std::size_t entries(const std::string& path) {
  return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(path), {}));
}

TEST(Files, WritesAndReadsBackWithItsMode) {
  TempDir dir;
  ASSERT_TRUE(write_file_durably(dir / "a", "one"));
  ASSERT_TRUE(write_file_durably(dir / "a", std::string("two\0three", 9)));
  EXPECT_EQ(read_file(dir / "a").value(), std::string("two\0three", 9));
  EXPECT_EQ(mode_of(dir / "a"), 0600u);
  const auto before = ::umask(077);
  ASSERT_TRUE(write_file_durably(dir / "b", "", 0644));
  ::umask(before);
  EXPECT_EQ(mode_of(dir / "b"), 0644u);
  EXPECT_EQ(entries(dir.path()), 2u) << "a temporary was left";
}

TEST(Files, ReadingIsBoundedAndTellsMissingFromWrong) {
  TempDir dir;
  std::ofstream(dir / "ten") << "0123456789";
  EXPECT_EQ(read_file(dir / "ten", 10).value(), "0123456789");
  EXPECT_EQ(read_file(dir / "ten", 9).error().code, Code::invalid);
  EXPECT_EQ(read_file(dir / "none").error().code, Code::unreachable);
  EXPECT_EQ(read_file(dir / "ten/none").error().code, Code::unreachable);
  EXPECT_EQ(read_file(dir.path()).error().code, Code::invalid);
  ASSERT_EQ(::mkfifo((dir / "fifo").c_str(), 0600), 0);
  EXPECT_EQ(read_file(dir / "fifo").error().code, Code::invalid);
  EXPECT_FALSE(read_file("/proc/self/status").value().empty()) << "procfs files claim to be empty";
}

TEST(Files, AFailedWriteLeavesTheOldContent) {
  TempDir dir;
  ASSERT_TRUE(write_file_durably(dir / "a", "old"));
  // In a child, because the limit of file size is the process's.
  const pid_t child = ::fork();
  if (child == 0) {
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{100, 100};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    const auto written = write_file_durably(dir / "a", std::string(1000, 'n'));
    ::_exit(!written && written.error().code == Code::io ? 0 : 1);
  }
  int status = -1;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(read_file(dir / "a").value(), "old");
  EXPECT_EQ(entries(dir.path()), 1u);
  EXPECT_EQ(write_file_durably(dir / "missing/a", "x").error().code, Code::io);
  ASSERT_TRUE(make_directory(dir / "folder"));
  EXPECT_EQ(write_file_durably(dir / "folder", "x").error().code, Code::io);
}

TEST(Files, ConcurrentWritersNeverMix) {
  TempDir dir;
  {
    std::vector<std::jthread> writers;
    for (char c = 'a'; c < 'e'; ++c)
      writers.emplace_back([&, c] {
        for (int i = 0; i < 20; ++i) EXPECT_TRUE(write_file_durably(dir / "f", std::string(5000, c)));
      });
  }
  const auto content = read_file(dir / "f").value();
  EXPECT_EQ(content, std::string(5000, content[0]));
  EXPECT_EQ(entries(dir.path()), 1u);
}

TEST(Files, MakesDirectoriesWithTheirParents) {
  TempDir dir;
  ASSERT_TRUE(make_directory(dir / "a/b/c"));
  EXPECT_EQ(mode_of(dir / "a/b/c"), 0700u);
  EXPECT_TRUE(make_directory(dir / "a/b/c/"));
  EXPECT_TRUE(make_directory("/"));
  std::ofstream(dir / "file") << "";
  EXPECT_EQ(make_directory(dir / "file").error().code, Code::invalid);
  EXPECT_EQ(make_directory(dir / "file/sub").error().code, Code::invalid);
  EXPECT_EQ(make_directory("").error().code, Code::invalid);
}

TEST(FileLock, IsExclusiveNamesItsHolderAndEndsWithIt) {
  TempDir dir;
  {
    auto lock = FileLock::take(dir / "lock");
    ASSERT_TRUE(lock);
    const auto second = FileLock::take(dir / "lock");
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, Code::conflict);
    EXPECT_NE(second.error().what.find("process " + std::to_string(::getpid())), std::string::npos)
        << second.error().what;
    FileLock moved = std::move(*lock);
    EXPECT_FALSE(FileLock::take(dir / "lock"));
  }
  EXPECT_TRUE(FileLock::take(dir / "lock"));
  EXPECT_EQ(FileLock::take(dir / "no/lock").error().code, Code::io);
}

TEST(FileLock, EndsWhenItsHolderIsKilled) {
  TempDir dir;
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const auto lock = FileLock::take(dir / "lock");
    [[maybe_unused]] const auto written = ::write(ready[1], lock ? "y" : "n", 1);
    ::pause();
    ::_exit(0);
  }
  char answer = 0;
  ASSERT_EQ(::read(ready[0], &answer, 1), 1);
  EXPECT_EQ(answer, 'y');
  EXPECT_EQ(FileLock::take(dir / "lock").error().code, Code::conflict);
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  EXPECT_TRUE(FileLock::take(dir / "lock"));
  ::close(ready[0]);
  ::close(ready[1]);
}

}  // namespace
}  // namespace foreshadow::io
