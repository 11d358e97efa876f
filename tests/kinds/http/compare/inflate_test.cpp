#include "kinds/http/compare/inflate.hpp"

#include <gtest/gtest.h>

#include "kinds/http/compare/compress.hpp"

namespace foreshadow::kinds::http {
namespace {

using namespace testing;

const std::string kText = "{\"name\":\"chair\",\"price\":12}";

TEST(Inflate, EveryFormOfGzipAndDeflate) {
  EXPECT_EQ(decode_content("gzip", compress(kText), 1000), kText);
  EXPECT_EQ(decode_content("X-GZIP", compress(kText), 1000), kText);
  EXPECT_EQ(decode_content("deflate", compress(kText, Wrap::zlib), 1000), kText);
  EXPECT_EQ(decode_content("deflate", compress(kText, Wrap::raw), 1000), kText);
  EXPECT_EQ(decode_content("", kText, 1000), kText);
  EXPECT_EQ(decode_content("identity", kText, 1000), kText);
}

TEST(Inflate, SeveralMembersAreOneBody) {
  EXPECT_EQ(decode_content("gzip", compress("one ") + compress("two"), 1000), "one two");
}

TEST(Inflate, TheAnswerToHeadHasNoBody) { EXPECT_EQ(decode_content("gzip", "", 1000), ""); }

TEST(Inflate, UnknownCodingsAreNotDecoded) {
  EXPECT_FALSE(decode_content("br", kText, 1000));
  EXPECT_FALSE(decode_content("gzip, gzip", compress(compress(kText)), 1000));
}

TEST(Inflate, CutOffAndDamagedBodiesAreRefused) {
  const auto whole = compress(kText);
  for (std::size_t n = 1; n < whole.size(); ++n) EXPECT_FALSE(decode_content("gzip", whole.substr(0, n), 1000)) << n;
  auto damaged = whole;
  damaged[damaged.size() - 6] ^= 1;  // the checksum
  EXPECT_FALSE(decode_content("gzip", damaged, 1000));
  EXPECT_FALSE(decode_content("gzip", whole + "x", 1000));
  EXPECT_FALSE(decode_content("deflate", kText, 1000));
}

TEST(Inflate, ABombStopsAtTheLimit) {
  const auto bomb = compress(std::string(50 << 20, '\0'));
  ASSERT_LT(bomb.size(), 60'000u);
  EXPECT_FALSE(decode_content("gzip", bomb, 1 << 20));
  EXPECT_TRUE(decode_content("gzip", compress(std::string(1000, 'x')), 1000));
  EXPECT_FALSE(decode_content("gzip", compress(std::string(1001, 'x')), 1000));
}

}  // namespace
}  // namespace foreshadow::kinds::http
