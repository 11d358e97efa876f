#include "io/fixed_file.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "io/files.hpp"
#include "support/disk.hpp"
#include "support/temp_dir.hpp"

namespace foreshadow::io {
namespace {

using foreshadow::testing::FailingDisk;
using foreshadow::testing::syncs;

struct FixedFileTest : ::testing::Test {
  foreshadow::testing::TempDir dir;
  const std::string path = dir / "file";
  FixedFile make(std::string_view content) { return std::move(*FixedFile::make(path, content)); }
};

TEST_F(FixedFileTest, is_overwritten_in_place_for_one_sync) {
  auto file = make("0123456789");
  const int before = syncs().count;
  ASSERT_TRUE(file.write(2, "ab"));
  EXPECT_EQ(syncs().count, before + 1);
  ASSERT_TRUE(file.write_behind(8, "yz"));
  EXPECT_EQ(syncs().count, before + 1);
  EXPECT_EQ(*read_file(path), "01ab4567yz");
  struct stat st{};
  ASSERT_EQ(::stat(path.c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 0777, 0600u);
}

TEST_F(FixedFileTest, never_changes_its_size) {
  auto file = make("0123456789");
  EXPECT_EQ(file.write(9, "ab").error().code, Code::invalid);
  EXPECT_EQ(file.write(11, "").error().code, Code::invalid);
  EXPECT_EQ(file.write(UINT64_MAX, "ab").error().code, Code::invalid);
  EXPECT_TRUE(file.write(10, ""));
  EXPECT_EQ(*read_file(path), "0123456789");
}

TEST_F(FixedFileTest, replaces_what_was_there_whole_or_not_at_all) {
  ASSERT_TRUE(write_file_durably(path, "of before"));
  {
    FailingDisk failing;
    EXPECT_EQ(FixedFile::make(path, "new").error().code, Code::io);
  }
  EXPECT_EQ(*read_file(path), "of before");
  make("new");
  EXPECT_EQ(*read_file(path), "new");
  EXPECT_EQ(FixedFile::make(dir / "missing/file", "new").error().code, Code::io);
}

TEST_F(FixedFileTest, a_failed_sync_is_told) {
  auto file = make("0123456789");
  FailingDisk failing;
  EXPECT_EQ(file.write(0, "ab").error().code, Code::io);
}

TEST_F(FixedFileTest, knows_when_its_name_means_another_file) {
  auto file = make("0123456789");
  EXPECT_TRUE(file.still_there());
  std::filesystem::rename(path, path + "-away");
  EXPECT_FALSE(file.still_there());
  ASSERT_TRUE(write_file_durably(path, "0123456789"));
  EXPECT_FALSE(file.still_there());
  std::filesystem::rename(path + "-away", path);
  EXPECT_TRUE(file.still_there());
  std::filesystem::resize_file(path, 3);
  EXPECT_FALSE(file.still_there());
}

}  // namespace
}  // namespace foreshadow::io
