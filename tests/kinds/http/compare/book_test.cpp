#include "kinds/http/compare/book.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/random.hpp"

namespace foreshadow::kinds::http {
namespace {

Comparison pair(std::vector<std::string> fields) {
  Comparison made;
  for (auto& field : fields) made.differences.push_back({std::move(field), "a", "b"});
  return made;
}
Comparison unlike() {
  auto made = pair({"status"});
  made.classes_differ = true;
  return made;
}

struct Book : ::testing::Test {
  DifferenceBook book{{"browse", "orders"}};
  nlohmann::json segment(std::size_t i = 0) const { return book.to_json().at("segments").at(i); }
  nlohmann::json field(const std::string& name) const {
    for (const auto& f : segment().at("fields"))
      if (f.at("field") == name) return f;
    return {};
  }
};

TEST(NoiseRule, BothThresholdsMustBePassed) {
  const NoiseRule rule{.relative = 0.2, .absolute = 0.01};
  EXPECT_TRUE(rule.beyond(0.02, 0));
  EXPECT_FALSE(rule.beyond(0.01, 0)) << "absolute";
  EXPECT_FALSE(rule.beyond(0.5, 0.4)) << "relative: 0.1 of 0.9";
  EXPECT_TRUE(rule.beyond(0.5, 0.3));
  EXPECT_FALSE(rule.beyond(0.1, 0.9));
}

TEST(RecentShare, IsThePlainShareAtFirstAndForgetsLater) {
  RecentShare share;
  for (std::uint64_t n = 1; n <= 20; ++n)
    if (n % 4 == 0) share.happened(n, 1000);
  EXPECT_NEAR(share.at(20, 1000), 0.25, 0.005);
  EXPECT_LT(share.at(6000, 1000), 0.001);
  for (std::uint64_t n = 10'001; n <= 20'000; ++n) share.happened(n, 1000);
  EXPECT_NEAR(share.at(20'000, 1000), 1.0, 0.001) << "it was never so before, which no longer counts";
}

TEST_F(Book, EqualAnswersCountAsEqual) {
  for (int i = 0; i < 10; ++i) EXPECT_FALSE(book.judge(0, "GET /", pair({})));
  EXPECT_EQ(segment().at("compared"), 10);
  EXPECT_EQ(segment().at("equal"), 10);
  EXPECT_EQ(segment().at("differing"), 0);
  EXPECT_EQ(segment(1).at("compared"), 0);
}

TEST_F(Book, TheFirstRealDifferenceCounts) {
  for (int i = 0; i < 5000; ++i) book.judge(0, "GET /", pair({}));
  for (int i = 0; i < 50; ++i) book.learn(0, pair({}));
  EXPECT_TRUE(book.judge(0, "GET /x", pair({"body.price"})));
  EXPECT_EQ(segment().at("differing"), 1);
  EXPECT_EQ(field("body.price").at("differs"), true);
}

TEST_F(Book, WhatTheShadowItselfVariesIsNoise) {
  for (int i = 0; i < 100; ++i) {
    if (i < 20) book.learn(0, pair({"body.at"}));
    EXPECT_FALSE(book.judge(0, "GET /", pair({"body.at"}))) << i;
  }
  EXPECT_EQ(segment().at("only_noise"), 100);
  EXPECT_TRUE(book.judge(0, "GET /", pair({"body.at", "body.price"})));
  const auto samples = book.to_json().at("samples");
  ASSERT_EQ(samples.size(), 1u);
  EXPECT_EQ(samples.at(0).at("differences").size(), 1u) << "noise is not shown as a difference";
  EXPECT_EQ(samples.at(0).at("differences").at(0).at("field"), "body.price");
}

TEST_F(Book, NoiseNowAndThenIsNoiseAndMoreThanThatIsNot) {
  Random random(7);
  int differing = 0;
  for (int i = 0; i < 20'000; ++i) {
    if (i < 50 || i % 20 == 0) book.learn(0, random.chance(0.3) ? pair({"body.order"}) : pair({}));
    differing += book.judge(0, "GET /", random.chance(0.3) ? pair({"body.order"}) : pair({}));
  }
  EXPECT_LT(differing, 300) << "6000 differed";
  differing = 0;
  for (int i = 0; i < 3000; ++i) {
    if (i % 20 == 0) book.learn(0, random.chance(0.3) ? pair({"body.order"}) : pair({}));
    differing += book.judge(0, "GET /", random.chance(0.9) ? pair({"body.order"}) : pair({}));
  }
  EXPECT_GT(differing, 1000) << "it differs three times as often as noise explains";
}

TEST_F(Book, AFieldThatIsNoLongerNoiseIsJudgedAgain) {
  for (int i = 0; i < 50; ++i) book.learn(0, pair({"body.at"}));
  for (int i = 0; i < 3000; ++i) book.learn(0, pair({}));
  EXPECT_TRUE(book.judge(0, "GET /", pair({"body.at"})));
}

TEST_F(Book, TheClassOfAStatusIsNeverNoise) {
  for (int i = 0; i < 50; ++i) book.learn(0, unlike());
  EXPECT_EQ(segment().at("noise_pairs"), 0) << "nothing was learned of its fields";
  EXPECT_TRUE(book.judge(0, "GET /", unlike()));
}

TEST_F(Book, SegmentsLearnForThemselves) {
  for (int i = 0; i < 50; ++i) book.learn(0, pair({"body.at"}));
  EXPECT_FALSE(book.judge(0, "GET /", pair({"body.at"})));
  EXPECT_TRUE(book.judge(1, "POST /orders", pair({"body.at"})));
}

TEST_F(Book, EverythingIsBounded) {
  for (int i = 0; i < 2000; ++i) book.judge(0, "GET /" + std::to_string(i), pair({"body.k" + std::to_string(i)}));
  EXPECT_EQ(segment().at("fields").size(), 256u);
  EXPECT_EQ(segment().at("fields_forgotten"), 2000 - 256);
  const auto samples = book.to_json().at("samples");
  EXPECT_EQ(samples.size(), 32u);
  EXPECT_EQ(samples.back().at("request"), "GET /1999");
}

TEST_F(Book, WhatIsToldFitsIntoOneLineOfTheControlSocket) {
  std::vector<SegmentId> names;
  for (int i = 0; i < 20; ++i) names.push_back("segment-" + std::to_string(i));
  DifferenceBook large(names, {.samples_max = 100});
  const std::string longest(500, '"');
  for (std::size_t i = 0; i < names.size(); ++i)
    for (int n = 0; n < 300; ++n) {
      std::vector<std::string> fields;
      for (int k = 0; k < 8; ++k) fields.push_back(longest + std::to_string(n * 8 + k));
      auto differing = pair(fields);
      for (auto& d : differing.differences) d.one = d.other = std::string(83, '"');
      large.judge(i, std::string(256, '"'), differing);
    }
  EXPECT_LT(large.to_json().dump().size(), 3u << 20);
}

TEST_F(Book, SkippedAnswersAndLatenciesAreCounted) {
  using std::chrono::milliseconds;
  book.skip(0, DifferenceBook::Skipped::busy);
  book.skip(0, DifferenceBook::Skipped::no_answer);
  for (int i = 0; i < 100; ++i) book.took(0, milliseconds{10}, milliseconds{20});
  EXPECT_EQ(segment().at("skipped").at("busy"), 1);
  EXPECT_EQ(segment().at("skipped").at("no_answer"), 1);
  EXPECT_NEAR(segment().at("latency").at("primary").at("p50_ms").get<double>(), 10, 1);
  EXPECT_NEAR(segment().at("latency").at("shadow").at("p99_ms").get<double>(), 20, 2);
}

TEST_F(Book, WorkOfNoSegmentHasAPlaceToo) {
  book.judge(2, "GET /", pair({}));
  EXPECT_EQ(segment(2).at("segment"), "(unmatched)");
}

}  // namespace
}  // namespace foreshadow::kinds::http
