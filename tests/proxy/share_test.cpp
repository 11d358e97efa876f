#include "proxy/share.hpp"

#include <gtest/gtest.h>

#include "proxy/crowd.hpp"

namespace foreshadow::proxy {
namespace {

TEST(Share, SharesAreTheWhole) {
  for (const int total : {0, 1, 2, 3, 7, 64, 10'000})
    for (const std::size_t threads : {1, 2, 3, 7}) {
      int sum = 0;
      for (std::size_t i = 0; i < threads; ++i) sum += share_of(total, threads, i);
      EXPECT_EQ(sum, total == 0 ? 0 : std::max(total, static_cast<int>(threads))) << total << " among " << threads;
    }
  EXPECT_EQ(share_of<std::size_t>(5, 2, 0), 3u);
  EXPECT_EQ(share_of<std::size_t>(5, 2, 1), 2u);
}

TEST(Crowd, GivesToWhoHasTheFewestInTurn) {
  Crowd crowd(3, 1);
  for (const std::size_t expected : {1, 2, 0, 1, 2, 0}) EXPECT_EQ(crowd.admit(10), expected);
  crowd.left(2, 2);
  crowd.left(0, 1);
  EXPECT_EQ(crowd.admit(10), 2u);
  EXPECT_EQ(crowd.admit(10), 0u) << "one each, and it is its turn";
  EXPECT_EQ(crowd.admit(10), 2u);
  EXPECT_EQ(crowd.size(), 6u);
  EXPECT_FALSE(crowd.admit(6));
}

}  // namespace
}  // namespace foreshadow::proxy
