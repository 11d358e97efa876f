#include "kinds/http/compare/compare.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kinds/http/compare/compress.hpp"

namespace foreshadow::kinds::http {
namespace {

using testing::compress;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr std::size_t kKept = 64 << 10;

AnswerCopy answer(const std::string& fields, const std::string& body, const std::string& status = "200 OK") {
  AnswerCopy copy;
  copy.head = "HTTP/1.1 " + status + "\r\n" + fields + "\r\n";
  copy.keep(body, kKept);
  return copy;
}
AnswerCopy json(const std::string& body, const std::string& fields = "") {
  return answer("Content-Type: application/json; charset=utf-8\r\n" + fields, body);
}

std::vector<std::string> differences(const AnswerCopy& one, const AnswerCopy& other,
                                     const CompareSettings& settings = {}) {
  std::vector<std::string> shown;
  for (const auto& d : compare(one, other, settings).differences)
    shown.push_back(d.field + ": " + d.one + " | " + d.other);
  return shown;
}

TEST(Compare, EqualAnswersAreEqual) {
  EXPECT_THAT(differences(json(R"({"a":1})"), json(R"({ "a" : 1.0 })")), IsEmpty());
  EXPECT_THAT(differences(answer("", "text"), answer("", "text")), IsEmpty());
  EXPECT_THAT(differences(answer("", ""), answer("", "")), IsEmpty());
}

TEST(Compare, StatusOfAnotherClassIsAllThatIsCompared) {
  const auto pair = compare(json("{}"), answer("X-A: 1\r\n", "gone", "404 Not Found"), {});
  EXPECT_TRUE(pair.classes_differ);
  EXPECT_THAT(pair.differences, ElementsAre(Difference{"status", "200", "404"}));
  const auto within = compare(json("{}"), answer("Content-Type: application/json\r\n", "{}", "201 Created"), {});
  EXPECT_FALSE(within.classes_differ);
  EXPECT_EQ(within.differences.at(0), (Difference{"status", "200", "201"}));
}

TEST(Compare, AHeadThatCannotBeReadDiffers) {
  EXPECT_TRUE(compare({.head = "garbage"}, json("{}"), {}).classes_differ);
  EXPECT_TRUE(compare({.head = "garbage"}, {.head = "garbage"}, {}).classes_differ);
  EXPECT_TRUE(compare({.head = "HTTP/1.1 200 OK\r\nX: 1"}, json("{}"), {}).classes_differ) << "cut";
}

TEST(Compare, HeadersButForThoseThatAlwaysDiffer) {
  EXPECT_THAT(
      differences(answer("Date: a\r\nVia: b\r\nETag: \"1\"\r\nSet-Cookie: sid=1; Path=/\r\nX-Request-Id: 1\r\n", ""),
                  answer("Date: c\r\nserver: d\r\nETag: \"2\"\r\nset-cookie: sid=2\r\n", "")),
      IsEmpty());
  EXPECT_THAT(differences(answer("X-A: 1\r\nX-B: 2\r\n", ""), answer("x-a: 3\r\nX-C:\r\n", "")),
              ElementsAre("header.x-a: 1 | 3", "header.x-b: 2 | (absent)", "header.x-c: (absent) |  "));
  EXPECT_THAT(differences(answer("Set-Cookie: a=1\r\n", ""), answer("Set-Cookie: b=1\r\nSet-Cookie: a=1\r\n", "")),
              ElementsAre("header.set-cookie: a | a, b"));
}

TEST(Compare, WhatIsEmptyIsNotAbsentOnEitherSide) {
  EXPECT_THAT(differences(answer("X-A:\r\nSet-Cookie: =1\r\n", ""), answer("", "")),
              ElementsAre("header.set-cookie:   | (absent)", "header.x-a:   | (absent)"));
  EXPECT_THAT(differences(answer("", ""), answer("X-A:\r\nSet-Cookie: =1\r\n", "")),
              ElementsAre("header.set-cookie: (absent) |  ", "header.x-a: (absent) |  "));
}

TEST(Compare, WhatIsIgnoredIsASetting) {
  CompareSettings settings;
  for (const auto* field : {"header.X-Build", "body.at", "body.meta.*", "!header.etag"})
    EXPECT_TRUE(settings.ignored.add(field)) << field;
  EXPECT_THAT(
      differences(json(R"({"at":1,"meta":{"a":1,"b":[2]},"metal":1})", "ETag: \"1\"\r\nX-Build: 1\r\n"),
                  json(R"({"at":2,"meta":{"a":3,"b":[4]},"metal":2})", "ETag: \"2\"\r\nX-Build: 2\r\n"), settings),
      ElementsAre("header.etag: \"1\" | \"2\"", "body.metal: 1 | 2"));
  for (const auto* field : {"x-build", "!header.x-other", "status", "bodyguard"})
    EXPECT_FALSE(settings.ignored.add(field)) << field;
}

TEST(Compare, JsonFieldByField) {
  EXPECT_THAT(differences(json(R"({"a":1,"items":[{"p":1},{"p":2},{"p":3}]})"),
                          json(R"({"items":[{"p":1},{"p":7},{"p":8}],"b":true})")),
              ElementsAre("body.a: 1 | (absent)", "body.b: (absent) | true", "body.items[].p: 2 | 7"));
  CompareSettings few;
  few.differences_max = 3;
  std::string one = "{", other = "{";
  for (int i = 0; i < 100; ++i) {
    one += (i ? ",\"k" : "\"k") + std::to_string(i) + "\":1";
    other += (i ? ",\"k" : "\"k") + std::to_string(i) + "\":2";
  }
  EXPECT_EQ(differences(json(one + "}"), json(other + "}"), few).size(), 3u);
}

TEST(Compare, AllElseByDigest) {
  EXPECT_EQ(differences(answer("", "one"), answer("", "two!")).size(), 1u);
  EXPECT_TRUE(differences(answer("", "one"), answer("", "two!")).at(0).starts_with("body: 3 bytes, digest "));
  EXPECT_EQ(differences(json("{"), json("{}")).size(), 1u) << "one of them is no JSON";
}

TEST(Compare, CodingsAreTakenOffFirst) {
  const std::string body = R"({"a":1,"b":2})";
  EXPECT_THAT(differences(json(body), json(compress(body), "Content-Encoding: gzip\r\n")), IsEmpty());
  EXPECT_THAT(differences(json(body), json(compress(R"({"a":1,"b":3})"), "Content-Encoding: gzip\r\n")),
              ElementsAre("body.b: 2 | 3"));
  const auto unknown = compare(json("xx", "Content-Encoding: br\r\n"), json("xy", "Content-Encoding: br\r\n"), {});
  EXPECT_EQ(unknown.body, Comparison::Body::encoded);
  EXPECT_EQ(unknown.differences.size(), 1u);
  const auto bomb = json(compress(std::string(20 << 20, ' ')), "Content-Encoding: gzip\r\n");
  EXPECT_EQ(compare(json(body), bomb, {}).body, Comparison::Body::encoded);
}

TEST(Compare, LongBodiesByDigestHoweverTheyCame) {
  std::string body;
  while (body.size() < 300'000) body += std::to_string(body.size());
  const auto whole = answer("", body);
  EXPECT_FALSE(whole.whole);
  EXPECT_TRUE(whole.body.empty());
  for (const std::size_t piece : {1u, 7u, 8u, 4096u, 65'537u}) {
    AnswerCopy cut;
    cut.head = whole.head;
    for (std::size_t at = 0; at < body.size(); at += piece) cut.keep(std::string_view(body).substr(at, piece), kKept);
    const auto pair = compare(whole, cut, {});
    EXPECT_THAT(pair.differences, IsEmpty()) << piece;
    EXPECT_EQ(pair.body, Comparison::Body::compared);
  }
  auto other = body;
  other[250'000] ^= 1;
  EXPECT_EQ(differences(whole, answer("", other)).size(), 1u);
  EXPECT_EQ(differences(whole, answer("", "short")).size(), 1u);
  // Kept by one side only, because there was no room for it at the other.
  AnswerCopy squeezed;
  squeezed.head = whole.head;
  squeezed.keep("short", 0);
  EXPECT_THAT(differences(squeezed, answer("", "short")), IsEmpty());
  EXPECT_EQ(compare(whole, answer("Content-Encoding: gzip\r\n", compress(body)), {}).body, Comparison::Body::too_large);
}

TEST(Compare, ABodyWithoutEndIsLookedAtToALimit) {
  AnswerCopy one, other;
  one.head = other.head = "HTTP/1.1 200 OK\r\n\r\n";
  const std::string noise(100'000, 'n');
  for (int i = 0; i < 30; ++i) one.keep(noise, kKept);
  for (int i = 0; i < 20; ++i) other.keep(noise, kKept);
  const auto pair = compare(one, other, {});
  EXPECT_EQ(pair.body, Comparison::Body::too_large) << "equal as far as it was looked at";
  EXPECT_THAT(pair.differences, IsEmpty());
}

TEST(Compare, SecretsAreNotShown) {
  EXPECT_THAT(differences(json(R"({"access_token":"a","user":{"passWord":"b"}})", "X-Api-Key: k1\r\n"),
                          json(R"({"access_token":"c","user":{"passWord":"d"}})", "X-Api-Key: k2\r\n")),
              ElementsAre("header.x-api-key: (redacted) | (redacted)", "body.access_token: (redacted) | (redacted)",
                          "body.user.passWord: (redacted) | (redacted)"));
  EXPECT_THAT(differences(answer("Location: /in?code=1&x=2\r\n", ""), answer("Location: /in?code=3\r\n", "")),
              ElementsAre("header.location: /in?code=..&x=.. | /in?code=.."));
  CompareSettings settings;
  settings.secrets = Secrets({"iban"});
  EXPECT_THAT(differences(json(R"({"IBAN":"a"})"), json(R"({"IBAN":"b"})"), settings),
              ElementsAre("body.IBAN: (redacted) | (redacted)"));
}

TEST(Compare, ValuesAreShownShortAndHarmless) {
  const auto shown =
      differences(answer("X-A: " + std::string(500, 'x') + "\r\n", ""), answer("X-A: \xc3\xa9\xff\r\n", ""));
  EXPECT_THAT(shown, ElementsAre("header.x-a: " + std::string(80, 'x') + "... | \xc3\xa9?"));
}

TEST(Redact, TargetsLoseTheirValues) {
  EXPECT_EQ(without_values("GET /a"), "GET /a");
  EXPECT_EQ(without_values("/a?x=1&y&=2&z="), "/a?x=..&..&=..&z=..");
}

}  // namespace
}  // namespace foreshadow::kinds::http
