#include "app/status_view.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "api/status.hpp"
#include "app/recorded.hpp"

namespace foreshadow::app {
namespace {

using nlohmann::json;

json status_at_score(double score) {
  decide::State state;
  const auto at = time_from_ms(1'000);
  state = decide::step(std::move(state), {at, "shop", PolicySet{Recorded::shop(), {}}}).state;
  state = decide::step(std::move(state), {at, "shop", OutlookMade{Recorded::outlook(score)}}).state;
  return api::status_json(state, at);
}

TEST(StatusView, RiskIsTheScoreAgainstTheThresholdsInForce) {
  EXPECT_STREQ(risk_word(status_at_score(0.1)["resources"][0]), "low");
  EXPECT_STREQ(risk_word(status_at_score(0.6)["resources"][0]), "raised");
  EXPECT_STREQ(risk_word(status_at_score(0.9)["resources"][0]), "high");
  auto degraded = status_at_score(0.1)["resources"][0];
  degraded["outlook"]["degraded"] = true;
  EXPECT_STREQ(risk_word(degraded), "high");
  EXPECT_STREQ(risk_word(json::object()), "unknown");
}

TEST(StatusView, OneTableSaysItAll) {
  const auto text = status_text(status_at_score(0.9), time_from_ms(1'000), {});
  EXPECT_NE(text.find("RESOURCE  RISK  SCORE"), std::string::npos) << text;
  EXPECT_NE(text.find("shop      high  0.90/15m00s 0.90/5m00s  18.0s     observing  shop-a"), std::string::npos)
      << text;
  EXPECT_NE(text.find("why 0.90 resident memory rises 1.9 MiB/s"), std::string::npos) << text;
  EXPECT_NE(text.find("waits autonomy is observe"), std::string::npos) << text;
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
}

TEST(StatusView, ADeadControllerAndTheAgeOfTheDataAreSaidFirst) {
  auto status = status_at_score(0.1);
  status["controller"] = {{"alive", false}, {"term", 3}, {"why", "nobody listens"}};
  status["data_age_ms"] = 4'200;
  status["gateways_silent"] = {{{"gateway", "edge"}, {"why", "refused"}}};
  const auto text = status_text(status, time_from_ms(1'000), {});
  EXPECT_TRUE(text.starts_with("controller down (nobody listens); what follows is 4.2s old, from the journal\n"))
      << text;
  EXPECT_NE(text.find("silent: refused"), std::string::npos) << text;
}

TEST(StatusView, InstancesThatAreLeftAloneOrBusyAreNamed) {
  auto status = status_at_score(0.1);
  status["gateways"] = json::parse(R"([{"gateway": "edge", "resource": "shop", "instances": [
      {"instance": "shop-a", "circuit": "closed", "queued": 12},
      {"instance": "shop-b", "circuit": "open", "queued": 0, "why": "5 failures in a row"}]}])");
  const auto text = status_text(status, time_from_ms(1'000), {});
  EXPECT_NE(text.find("edge: shop-a is busy, 12 wait for it\n"), std::string::npos) << text;
  EXPECT_NE(text.find("edge: shop-b is left alone by its gateway: 5 failures in a row\n"), std::string::npos) << text;
}

TEST(StatusView, NeverThrowsWhateverTheStatus) {
  for (
      const auto* text :
      {"null", "[]", "{}", R"({"resources": 7})",
       R"({"resources": [7, null, {"outlook": {"known": true, "scores": [1], "reasons": {"a": 1}}}]})",
       R"({"resources": [{"pending": [{"since_ms": "x"}], "name": 5}], "gateways": [{"segments": 1}], "gateways_silent": [1]})"})
    EXPECT_NO_THROW(status_text(json::parse(text), time_from_ms(0), {})) << text;
}

TEST(StatusView, NamesCannotMoveTheCursor) {
  auto status = status_at_score(0.1);
  status["resources"][0]["blocked_why"] = "\x1b[2Jgone";
  EXPECT_EQ(status_text(status, time_from_ms(0), {}).find('\x1b'), std::string::npos);
}

TEST(Terminal, ColoursOnlyWhereAskedTo) {
  Terminal colour;
  colour.colour = true;
  EXPECT_EQ(colour.paint(Paint::bad, "x"), "\x1b[1;31mx\x1b[0m");
  EXPECT_EQ(Terminal{}.paint(Paint::bad, "x"), "x");
  EXPECT_EQ(columns("äöü"), 3U);
}

}  // namespace
}  // namespace foreshadow::app
