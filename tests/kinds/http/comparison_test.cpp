// The shadow's answers beside the primary's, over the real gateway and two real services.
#include <gmock/gmock.h>

#include <atomic>
#include <nlohmann/json.hpp>

#include "domain/json.hpp"
#include "io/rpc.hpp"
#include "kinds/http/compare/compress.hpp"
#include "kinds/http/rig.hpp"

namespace foreshadow::kinds::http {
namespace {

using namespace testing;
using nlohmann::json;

std::string json_ok(const std::string& body, const std::string& fields = "") {
  return ok(body, "Content-Type: application/json\r\n" + fields);
}

json difference(const char* field, const char* primary, const char* shadow) {
  return {{"field", field}, {"primary", primary}, {"shadow", shadow}};
}

struct Comparing : Rig {
  // Each with the same answer, from here on.
  void both(const std::string& primary, const std::string& shadow) {
    a.handle([primary](const Message&, Stream&) { return Backend::Reply{primary}; });
    b.handle([shadow](const Message&, Stream&) { return Backend::Reply{shadow}; });
  }
  void mirror_all() {
    listener().options.erase("compare_noise");
    // The comparer may use what it wants, so that every pair is compared.
    listener().options["compare_cpu"] = "100%";
    // And no shadow is late, unless the test is about one that is.
    listener().options.emplace("mirror_timeout", "10m");
    start();
    apply(split(0, 1.0, 0, 1.0));
  }
  void browse(int n, const std::string& target = "/") {
    auto client = connect();
    for (int i = 0; i < n; ++i) {
      ASSERT_TRUE(client.send("GET " + target + " HTTP/1.1\r\nHost: shop\r\n\r\n"));
      ASSERT_TRUE(read_message(client)) << i;
    }
  }
  Result<json> ask_differences() const {
    return io::rpc_call(proxy::gateway_socket_path(dir.path(), "edge"), {{"verb", "differences"}, {"resource", "shop"}},
                        kPatient);
  }
  json differences() const {
    const auto answer = ask_differences();
    EXPECT_TRUE(answer) << answer.error().what;
    return answer.value_or(json{});
  }
  json in_segment(const std::string& name = "browse") const {
    for (const auto& s : differences().at("segments"))
      if (s.at("segment") == name) return s;
    return {};
  }
  json field(const std::string& name) const {
    for (const auto& f : in_segment().at("fields"))
      if (f.at("field") == name) return f;
    return {};
  }
  // Until the gate knows of so many copies: all of them are compared then.
  void await(std::uint64_t copies, const std::string& name = "browse") {
    ASSERT_TRUE(eventually([&] { return segment(name).mirror.sent == copies; }, kVeryPatient))
        << segment(name).mirror.sent;
  }
};

TEST_F(Comparing, IdenticalAnswersAreEqual) {
  both(json_ok(R"({"a":1,"b":[1,2]})", "Date: one\r\n"),
       json_ok(R"({ "b":[1,2], "a":1 })", "Date: two\r\nServer: x\r\n"));
  mirror_all();
  browse(20);
  await(20);
  const auto seen = in_segment();
  EXPECT_EQ(seen.at("compared"), 20);
  EXPECT_EQ(seen.at("equal"), 20);
  EXPECT_EQ(seen.at("fields").size(), 0u);
  EXPECT_EQ(segment("browse").mirror.mismatched, 0u);
  EXPECT_GT(seen.at("latency").at("primary").at("p50_ms"), 0);
  EXPECT_GT(seen.at("latency").at("shadow").at("p50_ms"), 0);
  EXPECT_EQ(differences().at("gateway"), "edge");
  EXPECT_EQ(differences().at("resource"), "shop");
}

TEST_F(Comparing, OneFieldThatDiffersIsFound) {
  both(json_ok(R"({"name":"chair","price":12,"token":"t1"})"), json_ok(R"({"name":"chair","price":13,"token":"t2"})"));
  mirror_all();
  browse(10, "/products/7?session=abc");
  await(10);
  EXPECT_EQ(segment("browse").mirror.mismatched, 10u);
  EXPECT_EQ(segment("browse").mirror.errors, 0u);
  EXPECT_EQ(in_segment().at("differing"), 10);
  EXPECT_EQ(field("body.price").at("differs"), true);
  EXPECT_EQ(field("body.price").at("differed"), 10);
  EXPECT_EQ(field("body.price").at("noisy"), 0);
  const auto samples = differences().at("samples");
  ASSERT_EQ(samples.size(), 10u);
  EXPECT_EQ(samples.at(0).at("request"), "GET /products/7?session=..");
  EXPECT_EQ(samples.at(0).at("differences"),
            json::array({difference("body.price", "12", "13"), difference("body.token", "(redacted)", "(redacted)")}));
}

TEST_F(Comparing, WhatTheShadowVariesItselfIsNoise) {
  std::atomic<int> at = 0;
  const auto varying = [&](const Message&, Stream&) {
    const auto now = std::to_string(++at);
    return Backend::Reply{json_ok("{\"at\":" + now + ",\"v\":1}", "X-Served: " + now + "\r\n")};
  };
  a.handle(varying);
  b.handle(varying);
  mirror_all();
  // Few at a time: a shadow that does not keep up with its copies gets none of them twice.
  for (std::uint64_t done = 20; done <= 100; done += 20) {
    browse(20);
    await(done);
  }
  EXPECT_EQ(segment("browse").mirror.mismatched, 0u);
  const auto seen = in_segment();
  EXPECT_EQ(seen.at("only_noise"), 100);
  EXPECT_GE(seen.at("noise_pairs"), 50);
  EXPECT_EQ(b.count(), 100 + seen.at("noise_pairs").get<std::size_t>()) << "the shadow alone is asked twice";
  EXPECT_EQ(a.count(), 100u);
  EXPECT_EQ(field("body.at").at("differs"), false);
  EXPECT_EQ(field("header.x-served").at("differs"), false);
  EXPECT_EQ(differences().at("samples").size(), 0u);
}

TEST_F(Comparing, ARealDifferenceShowsThroughNoise) {
  std::atomic<int> at = 0;
  const auto answering = [&](int price) {
    return [&at, price](const Message&, Stream&) {
      return Backend::Reply{json_ok("{\"at\":" + std::to_string(++at) + ",\"price\":" + std::to_string(price) + "}")};
    };
  };
  a.handle(answering(1));
  b.handle(answering(2));
  mirror_all();
  browse(30);
  await(30);
  EXPECT_EQ(segment("browse").mirror.mismatched, 30u);
  EXPECT_EQ(field("body.at").at("differs"), false);
  EXPECT_EQ(field("body.price").at("differs"), true);
}

TEST_F(Comparing, AnotherStatusDiffers) {
  both(json_ok("{}"), status(404, "{}"));
  mirror_all();
  browse(5);
  await(5);
  EXPECT_EQ(segment("browse").mirror.mismatched, 5u);
  EXPECT_EQ(field("status").at("differs"), true);
  EXPECT_EQ(differences().at("samples").at(0).at("differences").at(0), difference("status", "200", "404"));
}

TEST_F(Comparing, CompressedAndPlainAreTheSame) {
  const std::string body = R"({"name":"chair","parts":["leg","leg","leg","leg","seat"]})";
  both(json_ok(body), json_ok(compress(body), "Content-Encoding: gzip\r\nVary: Accept-Encoding\r\n"));
  mirror_all();
  browse(5);
  await(5);
  EXPECT_EQ(in_segment().at("equal"), 5);
}

TEST_F(Comparing, ChunkedAndWholeAreTheSame) {
  both(json_ok("{\"a\":1}"),
       "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
       "3\r\n{\"a\r\n4\r\n\":1}\r\n0\r\n\r\n");
  mirror_all();
  browse(5);
  await(5);
  EXPECT_EQ(in_segment().at("equal"), 5);
}

TEST_F(Comparing, HugeBodiesByDigest) {
  std::string body(700'000, 'x');
  auto other = body;
  other[650'000] = 'y';
  a.handle([&](const Message&, Stream&) { return Backend::Reply{ok(body)}; });
  b.handle([&](const Message& m, Stream&) { return Backend::Reply{ok(m.target() == "/same" ? body : other)}; });
  mirror_all();
  browse(4, "/same");
  await(4);
  EXPECT_EQ(in_segment().at("equal"), 4);
  browse(4, "/other");
  await(8);
  EXPECT_EQ(in_segment().at("differing"), 4);
  EXPECT_EQ(field("body").at("differed"), 4);
}

TEST_F(Comparing, BodiesPastEveryLimitAreCountedAsSuch) {
  const std::string body(3'000'000, 'x');
  both(ok(body), ok(body));
  mirror_all();
  browse(3);
  await(3);
  EXPECT_EQ(in_segment().at("bodies").at("too_large"), 3);
  EXPECT_EQ(segment("browse").mirror.mismatched, 0u);
}

TEST_F(Comparing, HostileBodiesAreBounded) {
  const std::string bomb = compress(std::string(20 << 20, '['));
  both(json_ok(std::string(60'000, '[')), json_ok(bomb, "Content-Encoding: gzip\r\n"));
  mirror_all();
  browse(5);
  await(5);
  EXPECT_EQ(in_segment().at("bodies").at("not_decoded"), 5);
  EXPECT_EQ(segment("browse").mirror.mismatched, 5u);
}

TEST_F(Comparing, AnAnswerThatItsClientDidNotGetWholeIsNotCompared) {
  a.handle([](const Message&, Stream& stream) {
    stream.send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf");
    return Backend::Reply{"", true};
  });
  b.handle([](const Message&, Stream&) { return Backend::Reply{ok("x")}; });
  mirror_all();
  get("/");
  await(1);
  EXPECT_EQ(in_segment().at("compared"), 0);
  EXPECT_EQ(in_segment().at("skipped").at("no_answer"), 1);
  EXPECT_EQ(segment("browse").mirror.mismatched, 0u);
}

TEST_F(Comparing, WritesAreComparedButNeverSentTwice) {
  both(json_ok(R"({"id":1})"), json_ok(R"({"id":2})"));
  mirror_all();
  for (int i = 0; i < 5; ++i)
    EXPECT_EQ(ask("POST /orders HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx")->status(), 200);
  await(5, "orders");
  EXPECT_EQ(b.count(), 5u);
  EXPECT_EQ(in_segment("orders").at("compared"), 5);
  EXPECT_EQ(in_segment("orders").at("noise_pairs"), 0);
  EXPECT_EQ(segment("orders").mirror.mismatched, 5u);
}

TEST_F(Comparing, AStalledOrSenselessShadowIsNoDifference) {
  a.handle([](const Message&, Stream&) { return Backend::Reply{ok("x")}; });
  b.handle([this](const Message& m, Stream& stream) {
    if (m.target() == "/garbage") return Backend::Reply{std::string(5000, '\x17'), true};
    stream.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nx");
    b.stall();
    return Backend::Reply{"", true};
  });
  listener().options["mirror_timeout"] = "100ms";
  mirror_all();
  browse(5, "/stalled");
  browse(5, "/garbage");
  await(10);
  EXPECT_EQ(segment("browse").mirror.errors, 10u);
  EXPECT_EQ(segment("browse").mirror.mismatched, 0u);
  EXPECT_EQ(in_segment().at("compared"), 0);
  EXPECT_EQ(in_segment().at("skipped").at("no_answer"), 10);
  b.release();
}

TEST_F(Comparing, MoreThanItHasTimeForIsCountedAndNotCompared) {
  std::string body = "{\"k\":0";
  for (int i = 0; i < 3000; ++i) body += ",\"key" + std::to_string(i) + "\":" + std::to_string(i);
  both(json_ok(body + ",\"x\":1}"), json_ok(body + ",\"x\":2}"));
  listener().options["compare_cpu"] = "0.1%";
  start();
  apply(split(0, 1.0));
  constexpr int n = 600;
  browse(n);
  ASSERT_TRUE(eventually([&] { return in_segment().at("skipped").at("busy") > 0; }));
  const auto& current = segment("browse").current;
  EXPECT_EQ(current.requests, static_cast<std::uint64_t>(n));
  EXPECT_EQ(current.errors, 0u);
}

TEST_F(Comparing, CanBeTurnedOff) {
  both(json_ok(R"({"a":1})"), json_ok(R"({"a":2})"));
  listener().options["compare"] = "false";
  mirror_all();
  browse(5);
  await(5);
  EXPECT_EQ(segment("browse").mirror.mismatched, 0u);
  EXPECT_EQ(b.count(), 5u);
  const auto answer = ask_differences();
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Code::refused);
  EXPECT_EQ(answer.error().what, "shop: answers are not compared; remove the option compare: false");
}

TEST_F(Comparing, OptionsReachIt) {
  both(json_ok(R"({"at":1,"iban":"a"})"), json_ok(R"({"at":2,"iban":"b"})"));
  listener().options["compare_ignore"] = "body.at";
  listener().options["compare_redact"] = "iban";
  listener().options["compare_samples"] = "2";
  mirror_all();
  browse(5);
  await(5);
  EXPECT_TRUE(field("body.at").is_null());
  const auto samples = differences().at("samples");
  ASSERT_EQ(samples.size(), 2u);
  EXPECT_EQ(samples.at(0).at("differences"), json::array({difference("body.iban", "(redacted)", "(redacted)")}));
}

TEST_F(Comparing, AnotherShadowBeginsANewBook) {
  both(json_ok(R"({"a":1})"), json_ok(R"({"a":2})"));
  mirror_all();
  browse(5);
  await(5);
  EXPECT_EQ(differences().at("shadow"), "b");
  auto table = handed_over(1);
  table.other = instance(a);
  table.routes = {{"browse", 0, 1.0}};
  apply(table);
  browse(3);
  await(8);
  EXPECT_EQ(differences().at("shadow"), "a");
  EXPECT_EQ(in_segment().at("compared"), 3);
  EXPECT_EQ(field("body.a").at("differed"), 3);
}

TEST_F(Comparing, AGatewayThatStopsMidwayIsNoTrouble) {
  std::string body = "{\"k\":0";
  for (int i = 0; i < 3000; ++i) body += ",\"key" + std::to_string(i) + "\":" + std::to_string(i);
  both(json_ok(body + ",\"x\":1}"), json_ok(body + ",\"x\":2}"));
  mirror_all();
  browse(50);
  gateway.reset();
}

}  // namespace
}  // namespace foreshadow::kinds::http
