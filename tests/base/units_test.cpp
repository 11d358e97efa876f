#include "base/units.hpp"

#include <gtest/gtest.h>

namespace foreshadow {
namespace {

TEST(Units, durations_need_a_unit) {
  EXPECT_EQ(parse_duration("250ms").value(), Millis{250});
  EXPECT_EQ(parse_duration("1.5s").value(), Millis{1500});
  EXPECT_EQ(parse_duration("3d").value(), std::chrono::days{3});
  EXPECT_FALSE(parse_duration("15"));
  EXPECT_FALSE(parse_duration("-1s"));
  EXPECT_FALSE(parse_duration("1e99d"));
  EXPECT_FALSE(parse_duration(""));
}

TEST(Units, bytes_know_decimal_from_binary) {
  EXPECT_EQ(parse_bytes("64MiB").value(), 64ULL << 20);
  EXPECT_EQ(parse_bytes("64 MB").value(), 64'000'000ULL);
  EXPECT_EQ(parse_bytes("512").value(), 512U);
  EXPECT_FALSE(parse_bytes("64 elephants"));
}

TEST(Units, fractions_stay_in_range) {
  EXPECT_DOUBLE_EQ(parse_fraction("70%").value(), 0.7);
  EXPECT_DOUBLE_EQ(parse_fraction("0.7").value(), 0.7);
  EXPECT_FALSE(parse_fraction("1.7"));
  EXPECT_FALSE(parse_fraction("nan"));
}

TEST(Units, formatting_is_short) {
  EXPECT_EQ(format_duration(Millis{250}), "250ms");
  EXPECT_EQ(format_duration(Millis{12345}), "12.3s");
  EXPECT_EQ(format_bytes(1536), "1.5 KiB");
}

}  // namespace
}  // namespace foreshadow
