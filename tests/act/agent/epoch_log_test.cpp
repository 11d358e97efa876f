#include "act/agent/epoch_log.hpp"

#include <gtest/gtest.h>

namespace foreshadow::act {
namespace {

constexpr std::size_t kPage = 4096, kFile = 32 * kPage;

std::string body_of(int entry) { return "{\"entry\": " + std::to_string(entry) + "}"; }

// Entries 1 to `count`, the third longer than a page, and room behind them.
std::string log_of(int count) {
  std::string file;
  for (int i = 1; i <= count; ++i)
    file += encode_entry(static_cast<std::uint64_t>(i), i == 3 ? body_of(i) + std::string(5000, ' ') : body_of(i));
  file.resize(kFile, '\0');
  return file;
}

// Where the copies of an entry begin, and where the next entry does.
struct Place {
  std::size_t first, second, end;
};
Place place_of(int entry) {
  const auto extent = entry == 3 ? 2 * kPage : kPage;
  const auto first = static_cast<std::size_t>(entry - 1) * 2 * kPage + (entry > 3 ? 2 * kPage : 0);
  return {first, first + extent, first + 2 * extent};
}

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
  file.resize(place_of(6).end);
  expect_entries(file, 6, 0);
}

TEST(EpochLog, torn_at_every_byte_it_loses_that_entry_only) {
  for (int count : {3, 4}) {  // the long one and a short one
    const auto before = log_of(count - 1), after = log_of(count);
    const auto place = place_of(count);
    // Of a copy only the line counts, not the zeros behind it.
    const auto line = after.find('\n', place.first) + 1;
    for (std::size_t bytes = place.first; bytes <= place.end; ++bytes)
      expect_entries(after.substr(0, bytes) + before.substr(bytes), bytes < line ? count - 1 : count, bytes);
  }
}

TEST(EpochLog, any_byte_of_what_was_acknowledged_may_be_wrong) {
  const auto whole = log_of(4);
  for (int entry = 1; entry <= 4; ++entry)
    for (const auto copy : {place_of(entry).first, place_of(entry).second})
      for (std::size_t byte = 0; byte < kPage; byte += byte < 100 ? 1 : 97)
        for (const int flip : {0x20, 0xff}) {
          auto file = whole;
          file[copy + byte] = static_cast<char>(file[copy + byte] ^ flip);
          expect_entries(file, 4, copy + byte);
        }
}

TEST(EpochLog, either_copy_may_be_lost) {
  const auto whole = log_of(4);
  for (std::size_t at = 0; at < place_of(4).end; at += kPage)
    for (const char instead : {'\0', '\xff'})
      expect_entries(std::string(whole).replace(at, kPage, kPage, instead), 4, at);
}

TEST(EpochLog, an_entry_without_a_whole_copy_is_damage_and_not_a_torn_end) {
  for (int entry = 1; entry <= 4; ++entry) {
    auto file = log_of(4);
    file[place_of(entry).first + 55] ^= 0x20;
    file[place_of(entry).second + 55] ^= 0x20;
    EXPECT_EQ(read_entries(file).error().code, Code::corrupt) << entry;
  }
}

TEST(EpochLog, nothing_lies_behind_its_end) {
  const auto whole = log_of(4);
  for (std::size_t at = place_of(4).end + 100; at < whole.size(); at += 97) {
    auto file = whole;
    file[at] = 'x';
    EXPECT_EQ(read_entries(file).error().code, Code::corrupt) << at;
  }
}

TEST(EpochLog, without_a_first_entry_it_is_no_log) {
  EXPECT_EQ(read_entries("").error().code, Code::corrupt);
  EXPECT_EQ(read_entries(std::string(kFile, '\0')).error().code, Code::corrupt);
  EXPECT_EQ(read_entries("{\"format\": 1}").error().code, Code::corrupt);
  EXPECT_EQ(read_entries(log_of(4).substr(place_of(1).end)).error().code, Code::corrupt) << "it begins with the second";
}

}  // namespace
}  // namespace foreshadow::act
