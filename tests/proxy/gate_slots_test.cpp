#include "proxy/gate_slots.hpp"

#include <gtest/gtest.h>

namespace foreshadow::proxy {
namespace {

constexpr std::uint64_t kSize = 4096;

// What a crash leaves of `after` written over `before` when its first `bytes` bytes got there.
std::string torn(const std::string& before, const std::string& after, std::size_t bytes) {
  return after.substr(0, bytes) + before.substr(bytes);
}

// Slot 0 holds `first`, slot 1 holds `second`.
std::string file_of(std::uint64_t first, std::uint64_t second) {
  auto file = encode_slots(kSize, first, "state " + std::to_string(first));
  const auto slot = encode_slot(kSize, second, "state " + std::to_string(second));
  return file.replace(kSize, slot.size(), slot);
}

TEST(GateSlots, the_newest_counts_wherever_it_lies) {
  for (const auto& file : {file_of(8, 9), file_of(9, 8), file_of(9, 9)}) {
    const auto slot = newest_slot(file);
    ASSERT_TRUE(slot) << slot.error().what;
    EXPECT_EQ(slot->sequence, 9u);
    EXPECT_EQ(slot->text, "state 9");
  }
}

TEST(GateSlots, torn_at_every_byte_the_other_one_counts) {
  // Number 9 goes over number 7, and the copy of number 9 over number 8.
  const auto before = file_of(8, 7), written = file_of(8, 9), copied = file_of(9, 9);
  for (std::size_t bytes = 0; bytes <= before.size(); ++bytes) {
    const auto file = torn(before, written, bytes);
    const auto slot = newest_slot(file);
    ASSERT_TRUE(slot) << bytes << ": " << slot.error().what;
    ASSERT_EQ(slot->text, file == written ? "state 9" : "state 8") << bytes;
    const auto copy = torn(written, copied, bytes);
    const auto after = newest_slot(copy);
    ASSERT_TRUE(after) << bytes << ": " << after.error().what;
    ASSERT_EQ(after->text, "state 9") << bytes;
  }
}

TEST(GateSlots, any_byte_of_one_copy_may_be_wrong) {
  const auto whole = file_of(9, 9);
  for (std::size_t at = 0; at < whole.size(); ++at) {
    auto file = whole;
    file[at] = static_cast<char>(file[at] ^ 0x20);
    const auto slot = newest_slot(file);
    ASSERT_TRUE(slot) << at << ": " << slot.error().what;
    ASSERT_EQ(slot->text, "state 9") << at;
  }
}

TEST(GateSlots, either_may_be_lost_and_without_both_there_is_nothing) {
  const std::string lost(kSize, '\0'), garbage(kSize, '\xff');
  for (const auto& instead : {lost, garbage}) {
    EXPECT_EQ(newest_slot(file_of(8, 9).replace(kSize, kSize, instead))->text, "state 8");
    EXPECT_EQ(newest_slot(file_of(8, 9).replace(0, kSize, instead))->text, "state 9");
    EXPECT_EQ(newest_slot(instead + instead).error().code, Code::corrupt);
  }
}

TEST(GateSlots, a_file_of_another_size_is_damaged) {
  const auto whole = file_of(8, 9);
  for (std::size_t bytes = 0; bytes < whole.size(); ++bytes)
    ASSERT_EQ(newest_slot(std::string_view(whole).substr(0, bytes)).error().code, Code::corrupt) << bytes;
  EXPECT_EQ(newest_slot(whole + std::string(4096, '\0')).error().code, Code::corrupt);
}

TEST(GateSlots, one_number_has_one_text) {
  auto file = encode_slots(kSize, 9, "state 9");
  const auto other = encode_slot(kSize, 9, "state X");
  file.replace(kSize, other.size(), other);
  EXPECT_EQ(newest_slot(file).error().code, Code::corrupt);
}

TEST(GateSlots, a_newer_version_is_told_from_damage) {
  auto file = file_of(8, 9);
  file[16] = '2';
  file[kSize + 16] = '2';
  EXPECT_EQ(newest_slot(file).error().code, Code::conflict);
}

TEST(GateSlots, there_is_room_to_grow_to_double) {
  for (const std::size_t bytes : {0u, 1u, 5000u, 1u << 20}) {
    const auto size = slot_size_for(bytes);
    EXPECT_EQ(size % 4096, 0u);
    EXPECT_TRUE(fits_slot(size, 2 * bytes)) << bytes;
    EXPECT_FALSE(fits_slot(size, size)) << bytes;
    const std::string text(bytes, 'x');
    EXPECT_EQ(newest_slot(encode_slots(size, 1, text))->text, text);
  }
}

}  // namespace
}  // namespace foreshadow::proxy
