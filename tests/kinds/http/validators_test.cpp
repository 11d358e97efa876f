#include "kinds/http/wire/validators.hpp"

#include <gtest/gtest.h>

#include <limits>

#include "kinds/http/session/splice.hpp"

namespace foreshadow::kinds::http {
namespace {

TEST(Validators, OnlyAStrongTagIsOne) {
  const auto tag = [](std::string_view value) { return strong_etag({{"ETag", value}}); };
  EXPECT_EQ(tag("\"abc\""), "\"abc\"");
  EXPECT_EQ(tag("\"\""), "\"\"");
  EXPECT_EQ(tag("\"a,b'\xff\""), "\"a,b'\xff\"");
  for (const auto* bad : {"", "\"", "abc", "W/\"abc\"", "\"a\"b\"", "\"a b\"", "\"a\tb\"", "'abc'", "\"abc"})
    EXPECT_EQ(tag(bad), "") << bad;
  EXPECT_EQ(strong_etag({}), "");
  EXPECT_EQ(strong_etag({{"ETag", "\"a\""}, {"etag", "\"a\""}}), "") << "which one?";
}

TEST(Validators, ContentRange) {
  EXPECT_EQ(parse_content_range("bytes 5-9/10"), (ContentRange{5, 9, 10}));
  EXPECT_EQ(parse_content_range("Bytes 0-0/1"), (ContentRange{0, 0, 1}));
  for (const auto* bad : {"", "bytes", "bytes ", "bytes 5-9/*", "bytes */10", "bytes 5-10/10", "bytes 6-5/10", "5-9/10",
                          "bytes 5-9", "bytes -9/10", "bytes 5-/10", "bytes 5-9/", "bytes  5-9/10", "bytes 5 - 9/10",
                          "bytes 5-9/10 ", "bytes 5-9/99999999999999999999", "bytes 5/9-10", "items 5-9/10"})
    EXPECT_FALSE(parse_content_range(bad)) << bad;
}

TEST(Validators, Age) {
  constexpr auto unknown = std::numeric_limits<std::uint64_t>::max();
  EXPECT_EQ(age_seconds({}), 0u);
  EXPECT_EQ(age_seconds({{"Age", "0"}}), 0u);
  EXPECT_EQ(age_seconds({{"Age", "17"}}), 17u);
  for (const auto* bad : {"", "-1", "1.5", "soon", "99999999999999999999"})
    EXPECT_EQ(age_seconds({{"Age", bad}}), unknown) << bad;
  EXPECT_EQ(age_seconds({{"Age", "1"}, {"Age", "1"}}), unknown);
}

struct Cut : ::testing::Test {
  static ResponseHead head(int status, std::vector<Field> fields) {
    return {.status = status, .fields = std::move(fields)};
  }
  static constexpr Framing kTen{BodyKind::length, 10};
  static constexpr Framing kChunks{BodyKind::chunked, 0};
  CutAnswer cut;
  bool begin(const ResponseHead& of, Framing framing = kTen, const char* method = "GET") {
    return cut.begin(method, of, framing);
  }
};

TEST_F(Cut, OnlyWhatIsKnownToBeTheSameMayBeCompleted) {
  EXPECT_TRUE(begin(head(200, {{"ETag", "\"a\""}})));
  EXPECT_TRUE(begin(head(200, {{"ETag", "\"a\""}}), kChunks));
  EXPECT_FALSE(begin(head(200, {})));
  EXPECT_FALSE(begin(head(200, {{"ETag", "W/\"a\""}})));
  EXPECT_FALSE(begin(head(206, {{"ETag", "\"a\""}})));
  EXPECT_FALSE(begin(head(200, {{"ETag", "\"a\""}}), kTen, "OPTIONS"));
  EXPECT_FALSE(begin(head(200, {{"ETag", "\"a\""}}), {BodyKind::until_close, 0}));
  EXPECT_FALSE(begin(head(200, {{"ETag", "\"a\""}}), {BodyKind::length, 0})) << "it cannot be cut";
}

TEST_F(Cut, AWholeAnswerFitsOrNot) {
  ASSERT_TRUE(begin(head(200, {{"ETag", "\"a\""}, {"Content-Encoding", "gzip"}})));
  cut.passed("01234");
  const auto fits = [&](int status, std::vector<Field> fields, Framing framing = kTen) {
    return cut.fits_whole(head(status, std::move(fields)), framing);
  };
  EXPECT_TRUE(fits(200, {{"etag", "\"a\""}, {"content-encoding", "gzip"}}));
  EXPECT_TRUE(fits(200, {{"etag", "\"a\""}, {"content-encoding", "gzip"}}, kChunks));
  EXPECT_FALSE(fits(200, {{"etag", "\"a\""}}));
  EXPECT_FALSE(fits(200, {{"etag", "\"b\""}, {"content-encoding", "gzip"}}));
  EXPECT_FALSE(fits(200, {{"etag", "W/\"a\""}, {"content-encoding", "gzip"}}));
  EXPECT_FALSE(fits(203, {{"etag", "\"a\""}, {"content-encoding", "gzip"}}));
  EXPECT_FALSE(fits(200, {{"etag", "\"a\""}, {"content-encoding", "gzip"}}, {BodyKind::length, 11}));
  EXPECT_FALSE(fits(200, {{"etag", "\"a\""}, {"content-encoding", "gzip"}}, {BodyKind::until_close, 0}));
  Digest same, other;
  same.add("01");
  same.add("234");
  other.add("01235");
  EXPECT_TRUE(cut.same(same));
  EXPECT_FALSE(cut.same(other));
}

TEST_F(Cut, ARestFitsOrNot) {
  ASSERT_TRUE(begin(head(200, {{"ETag", "\"a\""}})));
  cut.passed("0123");
  EXPECT_EQ(cut.range_fields(), "Range: bytes=4-\r\nIf-Range: \"a\"\r\n");
  const auto fits = [&](int status, std::string_view range, std::string_view tag = "\"a\"",
                        Framing framing = {BodyKind::length, 6}) {
    return cut.fits_rest(head(status, {{"ETag", tag}, {"Content-Range", range}}), framing);
  };
  EXPECT_TRUE(fits(206, "bytes 4-9/10"));
  EXPECT_FALSE(fits(200, "bytes 4-9/10"));
  EXPECT_FALSE(fits(206, "bytes 4-8/10")) << "not all of it";
  EXPECT_FALSE(fits(206, "bytes 5-9/10"));
  EXPECT_FALSE(fits(206, "bytes 4-9/*"));
  EXPECT_FALSE(fits(206, "bytes 4-10/11", "\"a\"", {BodyKind::length, 7})) << "not of the same length";
  EXPECT_FALSE(fits(206, "bytes 4-9/10", "\"b\""));
  EXPECT_FALSE(fits(206, "bytes 4-9/10", "W/\"a\""));
  EXPECT_FALSE(fits(206, "bytes 4-9/10", "\"a\"", {BodyKind::length, 5}));
  EXPECT_FALSE(fits(206, "bytes 4-9/10", "\"a\"", kChunks));
  EXPECT_FALSE(cut.fits_rest(head(206, {{"ETag", "\"a\""}}), {BodyKind::length, 6}));
}

}  // namespace
}  // namespace foreshadow::kinds::http
