#include "act/agent/epoch_log.hpp"

#include <gtest/gtest.h>

namespace foreshadow::act {
namespace {

constexpr std::size_t kFile = 16384;

std::string body_of(int entry) { return "{\"entry\": " + std::to_string(entry) + "}"; }

// Entries 1 to `count`, the third longer than a sector, and room behind them.
std::string log_of(int count) {
  std::string file;
  for (int i = 1; i <= count; ++i)
    file += encode_entry(static_cast<std::uint64_t>(i), i == 3 ? body_of(i) + std::string(700, ' ') : body_of(i));
  file.resize(kFile, '\0');
  return file;
}

std::size_t used(const std::string& file) { return (file.find_last_not_of('\0') / 512 + 1) * 512; }

void expect_entries(const std::string& file, int count, std::size_t at) {
  const auto bodies = read_entries(file);
  ASSERT_TRUE(bodies) << at << ": " << bodies.error().what;
  ASSERT_EQ(static_cast<int>(bodies->size()), count) << at;
  for (int i = 1; i <= count; ++i)
    EXPECT_TRUE((*bodies)[static_cast<std::size_t>(i) - 1].starts_with(body_of(i))) << at;
}

TEST(EpochLog, gives_back_what_was_written_in_its_order) {
  for (int count = 1; count <= 6; ++count) expect_entries(log_of(count), count, 0);
}

TEST(EpochLog, may_be_filled_to_its_last_byte) {
  auto file = log_of(6);
  file.resize(used(file));
  expect_entries(file, 6, 0);
}

TEST(EpochLog, torn_at_every_byte_it_loses_that_entry_only) {
  for (int count : {3, 4}) {  // the long one and a short one
    const auto before = log_of(count - 1), after = log_of(count);
    const auto first_copy_whole = used(before) + (used(after) - used(before)) / 2;
    for (std::size_t bytes = used(before); bytes <= used(after); ++bytes) {
      const auto file = after.substr(0, bytes) + before.substr(bytes);
      // Of the last sector of a copy only the line counts, not the zeros behind it.
      const bool whole = file.compare(0, first_copy_whole, after, 0, first_copy_whole) == 0;
      expect_entries(file, whole ? count : count - 1, bytes);
    }
  }
}

TEST(EpochLog, any_byte_of_what_was_acknowledged_may_be_wrong) {
  const auto whole = log_of(4);
  for (std::size_t at = 0; at < used(whole); ++at)
    for (const int flip : {0x20, 0xff}) {
      auto file = whole;
      file[at] = static_cast<char>(file[at] ^ flip);
      expect_entries(file, 4, at);
    }
}

TEST(EpochLog, either_copy_may_be_lost) {
  const auto whole = log_of(4);
  for (std::size_t at = 0; at < used(whole); at += 512)
    for (const char instead : {'\0', '\xff'}) expect_entries(std::string(whole).replace(at, 512, 512, instead), 4, at);
}

TEST(EpochLog, an_entry_without_a_whole_copy_is_damage_and_not_a_torn_end) {
  const auto whole = log_of(4);
  for (std::size_t first = 0; first < used(whole);) {
    const auto extent = first == 2048 ? 1024U : 512U;  // entries 1, 2, 3 (long), 4
    auto file = whole;
    file[first + 60] ^= 0x20;
    file[first + extent + 60] ^= 0x20;
    EXPECT_EQ(read_entries(file).error().code, Code::corrupt) << first;
    first += 2 * extent;
  }
}

TEST(EpochLog, nothing_lies_behind_its_end) {
  const auto whole = log_of(4);
  for (std::size_t at = used(whole) + 512; at < whole.size(); at += 97) {
    auto file = whole;
    file[at] = 'x';
    EXPECT_EQ(read_entries(file).error().code, Code::corrupt) << at;
  }
}

TEST(EpochLog, without_a_first_entry_it_is_no_log) {
  EXPECT_EQ(read_entries("").error().code, Code::corrupt);
  EXPECT_EQ(read_entries(std::string(kFile, '\0')).error().code, Code::corrupt);
  EXPECT_EQ(read_entries("{\"format\": 1}").error().code, Code::corrupt);
  EXPECT_EQ(read_entries(log_of(4).substr(1024)).error().code, Code::corrupt) << "it begins with the second";
}

}  // namespace
}  // namespace foreshadow::act
