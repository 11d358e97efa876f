#include "proxy/admission.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "proxy/tables.hpp"

namespace foreshadow::proxy {
namespace {

using testing::instance;
using testing::table;

struct AdmissionTest : ::testing::Test {
  RouteTable now = table(3, 5, 0.25);
  std::vector<Segment> segments = testing::segments();
  std::optional<std::uint64_t> sealed_for;
  Result<Admission> ask(const RouteTable& proposed) { return admit({now, 1, sealed_for, segments}, proposed); }
  Code refusal(const RouteTable& proposed) {
    const auto answer = ask(proposed);
    EXPECT_FALSE(answer);
    return answer ? Code::io : answer.error().code;
  }
};

TEST_F(AdmissionTest, TakesTheNextVersionAndTheNextEpoch) {
  EXPECT_EQ(ask(table(3, 6)), Admission::update);
  EXPECT_EQ(ask(table(4, 1)), Admission::handover);
  EXPECT_EQ(ask(now), Admission::same);
}

TEST_F(AdmissionTest, TheSameTableFromALaterTermIsTheSame) {
  auto again = now;
  again.term = 9;
  EXPECT_EQ(ask(again), Admission::same);
}

TEST_F(AdmissionTest, RefusesWhatIsOver) {
  EXPECT_EQ(refusal(table(2, 99)), Code::conflict) << "a lower epoch";
  EXPECT_EQ(refusal(table(3, 5)), Code::conflict) << "the same version with other content";
  EXPECT_EQ(refusal(table(3, 4)), Code::conflict) << "a lower version";
  auto stale = table(4, 1);
  stale.term = 0;
  EXPECT_EQ(refusal(stale), Code::conflict) << "a lower term, whatever its epoch";
}

TEST_F(AdmissionTest, AnEmptyTableIsNeverACommand) {
  EXPECT_EQ(refusal(RouteTable{}), Code::invalid);
  auto empty = table(4, 1);
  empty.current = {};
  EXPECT_EQ(refusal(empty), Code::invalid);
  empty.current = instance("a", 0);
  EXPECT_EQ(refusal(empty), Code::invalid);
  auto hollow = table(4, 1, 0.5);
  hollow.other = Instance{};
  EXPECT_EQ(refusal(hollow), Code::invalid);
}

TEST_F(AdmissionTest, RefusesNonsense) {
  for (const double weight : {-0.1, 1.1, std::nan(""), HUGE_VAL}) {
    auto t = table(3, 6, 0.5);
    t.routes[0].other_weight = weight;
    EXPECT_EQ(refusal(t), Code::invalid) << weight;
    t = table(3, 6, 0.5);
    t.routes[0].mirror = weight;
    EXPECT_EQ(refusal(t), Code::invalid) << weight;
  }
  auto unknown = table(3, 6, 0.5);
  unknown.routes[0].segment = "nobody";
  EXPECT_EQ(refusal(unknown), Code::invalid);
  auto twice = table(3, 6, 0.5);
  twice.routes.push_back(twice.routes[0]);
  EXPECT_EQ(refusal(twice), Code::invalid);
  auto alone = table(3, 6, 0.5);
  alone.other.reset();
  EXPECT_EQ(refusal(alone), Code::invalid);
  auto itself = table(3, 6, 0.5);
  itself.other->endpoint = itself.current.endpoint;
  EXPECT_EQ(refusal(itself), Code::invalid) << "a shadow at the primary's address";
  auto foreign = table(3, 6);
  foreign.resource = "bank";
  EXPECT_EQ(refusal(foreign), Code::invalid);
}

TEST_F(AdmissionTest, TheCurrentSideMovesOnlyWithTheEpoch) {
  auto coup = table(3, 6);
  coup.current = instance("b", 9002);
  EXPECT_EQ(refusal(coup), Code::conflict);
  coup.epoch = 4;
  EXPECT_EQ(ask(coup), Admission::handover);
}

TEST_F(AdmissionTest, ASealLetsOnlyItsEpochThrough) {
  sealed_for = 4;
  EXPECT_EQ(refusal(table(3, 6)), Code::conflict);
  EXPECT_EQ(ask(now), Admission::same);
  EXPECT_EQ(ask(table(4, 1)), Admission::handover);
}

}  // namespace
}  // namespace foreshadow::proxy
