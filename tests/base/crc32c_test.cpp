#include "base/crc32c.hpp"

#include <gtest/gtest.h>

#include <string>

namespace foreshadow {
namespace {

TEST(Crc32c, is_the_castagnoli_sum) {
  // RFC 3720, B.4.
  EXPECT_EQ(crc32c("123456789"), 0xE3069283u);
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8A9136AAu);
}

TEST(Crc32c, parts_sum_to_the_whole) { EXPECT_EQ(crc32c("56789", crc32c("1234")), crc32c("123456789")); }

}  // namespace
}  // namespace foreshadow
