#include "kinds/http/compare/standing.hpp"

#include <gtest/gtest.h>

namespace foreshadow::kinds::http {
namespace {

using namespace std::chrono_literals;

struct Standings : ::testing::Test {
  static constexpr StandingRule kRule{.window = Millis{16'000}, .pairs = 10, .differing = 0.1};
  Standing standing{{kRule, kRule}};
  Standing::Time now{1h};
  void note(int good, int bad = 0, std::size_t segment = 0, const char* shadow = "b") {
    for (int i = 0; i < good; ++i) standing.note(segment, shadow, true, now);
    for (int i = 0; i < bad; ++i) standing.note(segment, shadow, false, now);
  }
  bool passes(std::size_t segment = 0, const char* shadow = "b") const { return standing.passes(segment, shadow, now); }
};

TEST_F(Standings, NeedsEnoughOfThem) {
  EXPECT_FALSE(passes());
  note(9);
  EXPECT_FALSE(passes());
  note(1);
  EXPECT_TRUE(passes());
  EXPECT_FALSE(passes(1)) << "each segment for itself";
  EXPECT_FALSE(passes(2)) << "no such segment";
}

TEST_F(Standings, FailsWhileTooManyDiffer) {
  note(9, 1);
  EXPECT_TRUE(passes()) << "at the limit";
  note(0, 1);
  EXPECT_FALSE(passes());
  note(8);
  EXPECT_FALSE(passes());
  note(1);
  EXPECT_TRUE(passes());
}

TEST_F(Standings, ForgetsWhatIsLongAgo) {
  note(0, 5);
  now += 8s;
  note(20);
  EXPECT_FALSE(passes());
  now += 9s;
  EXPECT_TRUE(passes()) << "those that differed are out of the window";
  now += 8s;
  EXPECT_FALSE(passes()) << "and then so are the others";
  now += 16s;
  note(9);
  EXPECT_FALSE(passes()) << "a slice's old count is not taken up again";
}

TEST_F(Standings, AnotherShadowBeginsAnew) {
  note(50);
  EXPECT_FALSE(passes(0, "c"));
  note(1, 0, 1, "c");
  EXPECT_FALSE(passes());
  EXPECT_FALSE(passes(0, "c"));
  note(10, 0, 0, "c");
  EXPECT_TRUE(passes(0, "c"));
}

TEST(Standing, NothingWithoutPairsEvenIfNoneAreAskedFor) {
  Standing standing({{.pairs = 0, .differing = 1}});
  EXPECT_FALSE(standing.passes(0, "", Standing::Time{1h}));
}

}  // namespace
}  // namespace foreshadow::kinds::http
