#include "kinds/http/insurance_options.hpp"

#include <gtest/gtest.h>

#include "kinds/http/options.hpp"

namespace foreshadow::kinds::http {
namespace {

std::string mistake(const std::string& name, const std::string& text) {
  const auto parsed = parse_segment_options({{name, text}});
  return parsed ? "none" : parsed.error().what;
}
std::string together(const Options& own, const Options& resources = {}) {
  const auto checked = check_insurance(own, resources);
  return checked ? "none" : checked.error().what;
}

TEST(InsuranceOptions, AreReadAsWritten) {
  const auto parsed = parse_segment_options({{"idempotency_key", "X-Order-Key"},
                                             {"insurance", "true"},
                                             {"insurance_wait", "250ms"},
                                             {"insurance_staleness", "0s"},
                                             {"insurance_statuses", "502, 599"},
                                             {"insurance_window", "1m"},
                                             {"insurance_pairs", "7"},
                                             {"insurance_differing", "2%"},
                                             {"insurance_at_once", "3"},
                                             {"insurance_prefix_max", "64KiB"},
                                             {"insurance_mark", "false"}});
  ASSERT_TRUE(parsed) << parsed.error().what;
  EXPECT_EQ(parsed->idempotency_key, "x-order-key");
  const auto& insurance = parsed->insurance;
  EXPECT_TRUE(insurance.on);
  EXPECT_EQ(insurance.wait, Millis{250});
  EXPECT_EQ(insurance.staleness, Millis{0});
  EXPECT_EQ(insurance.statuses, (std::vector<int>{502, 599}));
  EXPECT_EQ(insurance.standing.window, Millis{60'000});
  EXPECT_EQ(insurance.standing.pairs, 7u);
  EXPECT_DOUBLE_EQ(insurance.standing.differing, 0.02);
  EXPECT_EQ(insurance.at_once, 3u);
  EXPECT_EQ(insurance.prefix_max, 64u << 10);
  EXPECT_FALSE(insurance.mark);
}

TEST(InsuranceOptions, AreOffByDefaultAndCareful) {
  const auto parsed = parse_segment_options({});
  ASSERT_TRUE(parsed);
  EXPECT_FALSE(parsed->insurance.on);
  EXPECT_TRUE(parsed->insurance.mark);
  EXPECT_EQ(parsed->idempotency_key, "");
  EXPECT_TRUE(parse_segment_options({{"insurance_statuses", "none"}})->insurance.statuses.empty());
}

TEST(InsuranceOptions, MistakesAreToldWithTheMend) {
  EXPECT_EQ(mistake("insurance", "maybe"), "option insurance: 'maybe' must be true or false");
  EXPECT_EQ(mistake("insurance_statuses", "404"),
            "option insurance_statuses: '404' must be none, or statuses of 500 to 599 as in \"502, 503\"");
  EXPECT_NE(mistake("insurance_statuses", "5xx"), "none");
  EXPECT_EQ(mistake("insurance_wait", "0s"), "option insurance_wait: '0s' must lie between 1ms and 10m");
  EXPECT_EQ(mistake("insurance_window", "2h"), "option insurance_window: '2h' must lie between 1s and 1h");
  EXPECT_EQ(mistake("insurance_pairs", "0"), "option insurance_pairs: '0' must be a number from 1 to 1000000");
  EXPECT_EQ(mistake("insurance_at_once", "many"), "option insurance_at_once: 'many' must be a number from 1 to 10000");
  EXPECT_EQ(mistake("idempotency_key", "two words"),
            "option idempotency_key: 'two words' names no header; write it as in Idempotency-Key");
}

TEST(InsuranceOptions, OnlyWhatMakesSenseTogether) {
  EXPECT_EQ(together({{"insurance", "true"}, {"insurance_wait", "1s"}}), "none");
  EXPECT_EQ(together({{"sticky", "cookie"}}, {{"compare", "false"}}), "none");
  EXPECT_EQ(together({{"insurance_wait", "1s"}}),
            "option insurance_wait: there is no insurance to use it for; add insurance: true");
  EXPECT_EQ(together({{"insurance", "true"}}, {{"compare", "false"}}),
            "option insurance: rests on the comparison of answers; remove compare: false from the resource's options");
}

}  // namespace
}  // namespace foreshadow::kinds::http
