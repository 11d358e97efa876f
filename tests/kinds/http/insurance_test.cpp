// The shadow's answer where the primary gives none, over the real gateway and two real services.
#include "kinds/http/h2/client.hpp"
#include "kinds/http/insurance_rig.hpp"

namespace foreshadow::kinds::http {
namespace {

using namespace testing;

struct Insuring : InsuranceRig {};

void expect_insured(const std::optional<Message>& answer, const std::string& body) {
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status(), 200) << answer->body;
  EXPECT_EQ(answer->body, body);
  EXPECT_EQ(answer->field("x-foreshadow-insured"), "shadow");
}

TEST_F(Insuring, APrimaryThatIsGone) {
  start_insured();
  a.kill();
  expect_insured(
      ask("GET /x HTTP/1.1\r\nHost: shop\r\nConnection: close\r\nAuthorization: Bearer t\r\nCookie: c=1\r\n\r\n"),
      "same /x");
  EXPECT_EQ(insurance(), (InsuranceStats{.served = 1}));
  const auto seen = b.requests().back();
  EXPECT_EQ(seen.field("authorization"), "Bearer t");
  EXPECT_EQ(seen.field("cookie"), "c=1");
  EXPECT_EQ(seen.field("foreshadow-mirror"), "") << "it is a client's own request";
  EXPECT_EQ(asked(), 1u) << "and no copy is wanted beside it";
  EXPECT_EQ(segment("browse").current.failures.connect, 1u) << "it is a failure of the primary all the same";
}

TEST_F(Insuring, APrimaryThatDropsTheRequest) {
  start_insured();
  primary_drops();
  auto client = connect();
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(client.send("GET /x HTTP/1.1\r\nHost: shop\r\n\r\n"));
    expect_insured(read_message(client), "same /x");
  }
  EXPECT_EQ(insurance().served, 3u);
  EXPECT_EQ(segment("browse").current.failures.reset, 3u);
}

TEST_F(Insuring, APrimaryThatIsSilent) {
  option()["timeout"] = "100ms";
  start_insured();
  a.handle([this](const Message&, Stream&) {
    a.stall();
    return Backend::Reply{"", true};
  });
  expect_insured(get("/x"), "same /x");
  EXPECT_EQ(segment("browse").current.failures.timeout, 1u);
  a.release();
}

TEST_F(Insuring, APrimaryThatSaysGarbage) {
  start_insured();
  a.handle([](const Message&, Stream&) { return Backend::Reply{"garbage\r\n\r\n", true}; });
  expect_insured(get("/x"), "same /x");
}

TEST_F(Insuring, StatusesThatCount) {
  option()["insurance_statuses"] = "503";
  start_insured();
  a.handle([](const Message& m, Stream&) { return Backend::Reply{status(m.target() == "/503" ? 503 : 500, "own")}; });
  expect_insured(get("/503"), "same /503");
  EXPECT_EQ(segment("browse").current.failures.status_5xx, 1u);
  EXPECT_EQ(get("/500")->status(), 500);
  EXPECT_EQ(insurance(), (InsuranceStats{.served = 1}));
}

TEST_F(Insuring, WhereBothFailThePrimarysOwnWordsAreHeard) {
  start_insured();
  a.handle([](const Message&, Stream&) { return Backend::Reply{status(503, "own")}; });
  b.handle([](const Message&, Stream&) { return Backend::Reply{status(500, "other")}; });
  const auto answer = get("/x");
  EXPECT_EQ(answer->status(), 503);
  EXPECT_EQ(answer->body, "own");
  EXPECT_EQ(answer->field("x-foreshadow-insured"), "");
  EXPECT_EQ(insurance(), (InsuranceStats{.failed = 1}));
}

TEST_F(Insuring, HeadToo) {
  start_insured();
  b.handle([](const Message&, Stream&) { return Backend::Reply{"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"}; });
  a.kill();
  const auto answer = ask("HEAD /x HTTP/1.1\r\nHost: shop\r\n\r\n", true);
  EXPECT_EQ(answer->status(), 200);
  EXPECT_EQ(answer->field("content-length"), "9");
}

TEST_F(Insuring, TheMarkCanBeLeftOut) {
  option()["insurance_mark"] = "false";
  start_insured();
  a.kill();
  const auto answer = get("/x");
  EXPECT_EQ(answer->status(), 200);
  EXPECT_EQ(answer->field("x-foreshadow-insured"), "");
}

TEST_F(Insuring, NobodyIsAskedWhileThePrimaryWorks) {
  start_insured();
  apply(split(0, 0));
  for (int i = 0; i < 20; ++i) EXPECT_EQ(get("/x")->status(), 200);
  EXPECT_EQ(asked(), 0u);
  EXPECT_EQ(insurance(), InsuranceStats{});
}

TEST_F(Insuring, WithoutItEverythingIsAsBefore) {
  option().clear();
  start_insured();
  a.kill();
  EXPECT_EQ(get("/x")->status(), 503);
  EXPECT_EQ(asked(), 0u);
}

TEST_F(Insuring, NotBeforeEnoughWasCompared) {
  start_insured(kPairs - 1);
  a.kill();
  EXPECT_EQ(get("/x")->status(), 503);
  EXPECT_EQ(asked(), 0u);
}

TEST_F(Insuring, NotWhileAnswersDiffer) {
  b.handle([](const Message& m, Stream&) { return Backend::Reply{ok("unlike " + m.target())}; });
  start_insured(3 * kPairs);
  a.kill();
  EXPECT_EQ(get("/x")->status(), 503);
  EXPECT_EQ(asked(), 0u);
}

TEST_F(Insuring, NotByAShadowThatFailsItsCopies) {
  start_insured();
  b.handle([](const Message&, Stream&) { return Backend::Reply{"", true}; });
  qualify(1);
  a.kill();
  EXPECT_EQ(get("/x")->status(), 503);
  EXPECT_EQ(asked(), 0u);
}

TEST_F(Insuring, NotByAnotherShadow) {
  Backend c{"c"};
  start_insured();
  auto table = split(0, 1.0);
  table.other = instance(c);
  apply(table);
  a.kill();
  EXPECT_EQ(get("/x")->status(), 503);
  EXPECT_EQ(c.count(), 0u);
}

TEST_F(Insuring, AnOldAnswerIsNotServed) {
  start_insured();
  b.handle([](const Message& m, Stream&) {
    return Backend::Reply{ok("same", m.target() == "/old" ? "Age: 3\r\n" : "Age: 2\r\n")};
  });
  a.kill();
  EXPECT_EQ(get("/old")->status(), 503);
  EXPECT_EQ(insurance(), (InsuranceStats{.failed = 1}));
  expect_insured(get("/fresh"), "same");
}

TEST_F(Insuring, WhoHasJustWrittenIsNotShownThePast) {
  option()["insurance_staleness"] = "10m";
  start_insured();
  auto writer = connect();
  ASSERT_TRUE(writer.send("POST /orders HTTP/1.1\r\nHost: shop\r\nContent-Length: 1\r\n\r\nx"));
  ASSERT_EQ(read_message(writer)->status(), 200);
  a.kill();
  ASSERT_TRUE(writer.send("GET /x HTTP/1.1\r\nHost: shop\r\n\r\n"));
  EXPECT_EQ(read_message(writer)->status(), 503);
  EXPECT_EQ(asked(), 0u);
  expect_insured(get("/x"), "same /x");
}

TEST_F(Insuring, WritesNever) {
  auto& match = listener().matches.front();
  match.conditions = {{"path", "/**"}};
  start_insured();
  a.kill();
  const auto before = b.count();
  for (const auto* method : {"POST", "PUT", "PATCH", "DELETE"}) {
    const auto answer = ask(std::string(method) + " /x HTTP/1.1\r\nHost: shop\r\nContent-Length: 1\r\n\r\nx");
    EXPECT_EQ(answer->status(), 503) << method;
    EXPECT_NE(answer->body.find("nothing was sent"), std::string::npos);
  }
  EXPECT_EQ(b.count(), before);
}

TEST_F(Insuring, AShadowThatStallsKeepsNobodyForLongAndIsNotTrustedAgain) {
  option()["insurance_wait"] = "100ms";
  start_insured();
  b.handle([this](const Message&, Stream&) {
    b.stall();
    return Backend::Reply{"", true};
  });
  a.kill();
  EXPECT_EQ(get("/x")->status(), 503);
  EXPECT_EQ(insurance(), (InsuranceStats{.failed = 1}));
  EXPECT_EQ(get("/x")->status(), 503);
  EXPECT_EQ(asked(), 1u) << "it lost its standing";
  b.release();
}

TEST_F(Insuring, NoMoreAreAskedForAtATimeThanAllowed) {
  option()["insurance_at_once"] = "1";
  option()["insurance_wait"] = "10s";
  start_insured();
  b.handle([this](const Message&, Stream&) {
    b.stall();
    return Backend::Reply{ok("late")};
  });
  a.kill();
  auto first = connect();
  ASSERT_TRUE(first.send("GET /x HTTP/1.1\r\nHost: shop\r\n\r\n"));
  ASSERT_TRUE(eventually([&] { return asked() == 1; }));
  EXPECT_EQ(get("/x")->status(), 503);
  b.release();
  expect_insured(read_message(first), "late");
}

TEST_F(Insuring, WhoDrainsThePrimaryDoesNotWaitForTheShadow) {
  start_insured();
  const auto before = a.count();
  a.handle([this](const Message&, Stream&) {
    a.stall();
    return Backend::Reply{status(503, "own")};
  });
  auto client = connect();
  ASSERT_TRUE(client.send("GET /x HTTP/1.1\r\nHost: shop\r\n\r\n"));
  ASSERT_TRUE(eventually([&] { return a.count() == before + 1; }));
  std::thread holder([&] {
    const auto ack = hold(1);
    EXPECT_TRUE(ack) << ack.error().what;
  });
  ASSERT_TRUE(eventually([&] { return report().hold != HoldState::open; }));
  a.release();
  const auto answer = read_message(client);
  holder.join();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->body, "own");
  EXPECT_EQ(insurance(), InsuranceStats{});
  ASSERT_TRUE(release(1));
}

TEST_F(Insuring, OverHttp2Too) {
  start_insured();
  primary_drops();
  H2Client c(connect());
  auto answer = c.ask(testing::get("/x"));
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, "same /x");
  EXPECT_EQ(answer.fields["x-foreshadow-insured"], "shadow");
  a.handle([](const Message&, Stream&) { return Backend::Reply{status(502, "own")}; });
  answer = c.ask(testing::get("/x"));
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(insurance().served, 2u);
  EXPECT_EQ(c.ask(post("/orders"), "x").status, 502);
  EXPECT_EQ(asked(), 2u);
}

TEST_F(Insuring, AClientThatLeavesMeanwhileIsNoFailureOfTheShadow) {
  option()["insurance_wait"] = "10s";
  start_insured();
  b.handle([this](const Message&, Stream&) {
    b.stall();
    return Backend::Reply{ok("late")};
  });
  primary_drops();
  {
    H2Client c(connect());
    const auto stream = c.next_stream();
    c.head(stream, testing::get("/x"));
    ASSERT_TRUE(eventually([&] { return asked() == 1; }));
    c.send(kRstStream, 0, stream, uint32(8));
    ASSERT_TRUE(c.round_trip());
    b.release();
    EXPECT_EQ(c.ask(testing::get("/y")).status, 200) << "it is still trusted";
  }
  EXPECT_EQ(insurance(), (InsuranceStats{.served = 1}));
}

}  // namespace
}  // namespace foreshadow::kinds::http
