#include "app/differences_view.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace foreshadow::app {
namespace {

using nlohmann::json;

json answer() {
  return json::parse(R"json({"gateways": [{"gateway": "edge", "resource": "shop", "shadow": "shop-b",
    "segments": [{"segment": "all", "compared": 200, "equal": 0, "only_noise": 180, "differing": 20,
      "skipped": {"no_answer": 2, "busy": 1}, "noise_pairs": 52,
      "latency": {"primary": {"p50_ms": 0.9, "p99_ms": 1.8}, "shadow": {"p50_ms": 1, "p99_ms": 2}},
      "fields": [{"field": "body.at", "differed": 200, "rate": 1.0, "noise_rate": 1.0, "differs": false},
                 {"field": "body.price", "differed": 20, "rate": 0.0976, "noise_rate": 0, "differs": true}]}],
    "samples": [{"segment": "all", "request": "GET /1", "differences": []},
                {"segment": "all", "request": "GET /9",
                 "differences": [{"field": "body.price", "primary": "10", "shadow": "1\u001b[31m1"}]}]}],
    "gateways_silent": [{"gateway": "west", "why": "refused"}]})json");
}

TEST(DifferencesView, SaysWhatDiffersAndWhatIsNoise) {
  const auto text = differences_text(answer(), {});
  EXPECT_NE(text.find("shop at gateway edge: shadow shop-b\n"), std::string::npos) << text;
  EXPECT_NE(text.find("all      200       0      180         20         3             52           0.9/1.8"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("all      body.at     200       100.00 %  100.00 %      noise\n"), std::string::npos) << text;
  EXPECT_NE(text.find("all      body.price  20        9.76 %    0.00 %        differs\n"), std::string::npos) << text;
  EXPECT_LT(text.find("GET /9"), text.find("GET /1")) << "newest first";
  EXPECT_NE(text.find("  body.price 10 -> 1 [31m1\n"), std::string::npos) << text;
  EXPECT_NE(text.find("gateway west is silent: refused\n"), std::string::npos) << text;
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
}

TEST(DifferencesView, NeverThrowsWhateverTheAnswer) {
  for (const auto* text :
       {"null", "[]", "{}", R"({"gateways": 7})", R"({"gateways": [7, {"segments": 1, "samples": {}}]})",
        R"({"gateways": [{"segments": [1, {"fields": [1]}], "samples": [1, {"differences": 2}]}]})"})
    EXPECT_NO_THROW(differences_text(json::parse(text), {})) << text;
}

}  // namespace
}  // namespace foreshadow::app
