#include "kinds/http/compare/json_leaves.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace foreshadow::kinds::http {
namespace {

using ::testing::ElementsAre;

std::vector<std::string> leaves(std::string_view text, JsonLimits limits = {}) {
  const auto found = json_leaves(text, Secrets(), limits);
  if (!found) return {"not JSON"};
  std::vector<std::string> shown;
  for (const auto& leaf : *found) shown.push_back(leaf.at + " = " + leaf.value + (leaf.secret ? " secret" : ""));
  return shown;
}
std::vector<std::string> fields(std::string_view text) {
  std::vector<std::string> shown;
  const auto found = json_leaves(text, Secrets());
  for (const auto& leaf : found.value()) shown.push_back(leaf.field);
  return shown;
}

TEST(JsonLeaves, EachValueHasItsPath) {
  EXPECT_THAT(leaves(R"({"b":[1,{"c":null}],"a":"x","d":{}})"),
              ElementsAre("body.a = \"x\"", "body.b[0] = 1", "body.b[1].c = null", "body.d = {}"));
  EXPECT_THAT(leaves("[]"), ElementsAre("body = []"));
  EXPECT_THAT(leaves(" true "), ElementsAre("body = true"));
}

TEST(JsonLeaves, OrderAndSpacingAndTheFormOfNumbersSayNothing) {
  EXPECT_EQ(leaves(R"({"a":1,"b":[2.5,3]})"), leaves("{ \"b\" : [25e-1, 3.0],\n\"a\":1.0 }"));
  EXPECT_NE(leaves(R"({"a":1})"), leaves(R"({"a":"1"})"));
  EXPECT_NE(leaves(R"({"a":18446744073709551615})"), leaves(R"({"a":18446744073709551614})"));
}

TEST(JsonLeaves, FieldsLeaveOutIndicesAndIds) {
  EXPECT_THAT(fields(R"({"items":[{"id":1},{"id":2}]})"), ElementsAre("body.items[].id", "body.items[].id"));
  EXPECT_THAT(fields(R"({"users":{"17":{"n":1},"3f2504e0-4f89-11d3-9a0c-0305e82c3301":{"n":2},"admin":{"n":3}}})"),
              ElementsAre("body.users.*.n", "body.users.*.n", "body.users.admin.n"));
}

TEST(JsonLeaves, KeysThatLookLikePathsDoNotMixWithThem) {
  EXPECT_NE(leaves(R"({"a.b":1})"), leaves(R"({"a":{"b":1}})"));
  EXPECT_NE(leaves(R"({"a[0]":1})"), leaves(R"({"a":[1]})"));
}

TEST(JsonLeaves, WhatLiesBelowASecretIsSecret) {
  EXPECT_THAT(leaves(R"({"token":{"kind":"x","parts":[1]},"name":"y"})"),
              ElementsAre("body.name = \"y\"", "body.token.kind = \"x\" secret", "body.token.parts[0] = 1 secret"));
}

TEST(JsonLeaves, WhatIsNotJsonIsNothing) {
  for (const auto* text : {"", "{", "{\"a\":}", "[1,]", "nul", "{\"a\":1}x", "\"\xff\"", "'a'", "1e999"})
    EXPECT_THAT(leaves(text), ElementsAre("not JSON")) << text;
}

TEST(JsonLeaves, LimitsHold) {
  EXPECT_NE(leaves(std::string(64, '[') + std::string(64, ']')), leaves("x"));
  EXPECT_EQ(leaves(std::string(65, '[') + std::string(65, ']')), leaves("x"));
  EXPECT_EQ(leaves(std::string(100'000, '[')), leaves("x"));
  EXPECT_NE(leaves("[1,2,3]", {.leaves_max = 3}), leaves("x"));
  EXPECT_EQ(leaves("[1,2,3,4]", {.leaves_max = 3}), leaves("x"));
}

}  // namespace
}  // namespace foreshadow::kinds::http
