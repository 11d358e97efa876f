#include <chrono>

#include "kinds/http/hostile.hpp"
#include "kinds/http/rig.hpp"

namespace foreshadow::kinds::http {
namespace {

using namespace testing;
using Steady = std::chrono::steady_clock;

struct Proxying : Rig {};

TEST_F(Proxying, PassesARequestAndItsAnswer) {
  start();
  auto client = connect();
  ASSERT_TRUE(client.send("POST /orders?x=1 HTTP/1.1\r\nHost: shop\r\nContent-Length: 5\r\nX-Mine: y\r\n\r\nhello"));
  const auto answer = read_message(client);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status(), 200);
  EXPECT_EQ(answer->body, "a /orders?x=1");
  EXPECT_EQ(answer->field("via"), "1.1 foreshadow");
  const auto seen = a.requests().at(0);
  EXPECT_EQ(seen.start, "POST /orders?x=1 HTTP/1.1");
  EXPECT_EQ(seen.body, "hello");
  EXPECT_EQ(seen.field("host"), "shop");
  EXPECT_EQ(seen.field("x-mine"), "y");
  EXPECT_EQ(seen.field("x-forwarded-for"), "127.0.0.1");
  EXPECT_EQ(seen.field("x-forwarded-proto"), "http");
  EXPECT_EQ(seen.field("via"), "1.1 foreshadow");
}

// RFC 9110, section 7.6.2.
TEST_F(Proxying, MaxForwardsCountsDownForOptionsAndTrace) {
  start();
  auto client = connect();
  const auto asked = [&](const std::string& head) {
    EXPECT_TRUE(client.send(head + "Host: shop\r\n\r\n"));
    return read_message(client).value();
  };
  EXPECT_EQ(asked("OPTIONS /x HTTP/1.1\r\nMax-Forwards: 7\r\n").body, "a /x");
  EXPECT_EQ(a.requests().back().field("max-forwards"), "6");
  asked("TRACE /x HTTP/1.1\r\nMax-Forwards: 99999999999\r\n");
  EXPECT_EQ(a.requests().back().field("max-forwards"), "4294967294");
  asked("GET /x HTTP/1.1\r\nMax-Forwards: 0\r\n");
  EXPECT_EQ(a.requests().back().field("max-forwards"), "0");
  asked("OPTIONS /x HTTP/1.1\r\nMax-Forwards: few\r\n");
  EXPECT_EQ(a.requests().back().field("max-forwards"), "few");

  const auto seen = a.requests().size();
  const auto here = asked("OPTIONS * HTTP/1.1\r\nMax-Forwards: 0\r\n");
  EXPECT_EQ(here.status(), 200);
  EXPECT_NE(here.body.find("the gateway"), std::string::npos);
  EXPECT_EQ(asked("TRACE / HTTP/1.1\r\nMax-Forwards: 0\r\nCookie: secret\r\n").status(), 501);
  EXPECT_EQ(a.requests().size(), seen);
  EXPECT_EQ(asked("GET /on HTTP/1.1\r\n").body, "a /on");
}

TEST_F(Proxying, KeepsBothConnections) {
  start();
  auto client = connect();
  for (int i = 0; i < 50; ++i) {
    ASSERT_TRUE(client.send("GET /" + std::to_string(i) + " HTTP/1.1\r\nHost: shop\r\n\r\n"));
    const auto answer = read_message(client);
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->body, "a /" + std::to_string(i));
  }
  EXPECT_EQ(a.connections(), 1u);
  const auto stats = segment("browse").current;
  EXPECT_EQ(stats.requests, 50u);
  EXPECT_EQ(stats.errors, 0u);
  EXPECT_EQ(stats.latency.total(), 50u);
}

TEST_F(Proxying, AnswersPipelinedRequestsInOrder) {
  start();
  auto client = connect();
  std::string all;
  for (int i = 0; i < 20; ++i) all += "GET /" + std::to_string(i) + " HTTP/1.1\r\nHost: shop\r\n\r\n";
  ASSERT_TRUE(client.send(all));
  for (int i = 0; i < 20; ++i) EXPECT_EQ(read_message(client)->body, "a /" + std::to_string(i));
}

TEST_F(Proxying, AnswersWithoutBodies) {
  a.handle([](const Message& m, Stream&) {
    if (m.method() == "HEAD") return Backend::Reply{"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"};
    return Backend::Reply{m.target() == "/204" ? "HTTP/1.1 204 No Content\r\n\r\n"
                                               : "HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\nETag: x\r\n\r\n"};
  });
  start();
  auto client = connect();
  client.send("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(read_message(client, true)->field("content-length"), "1000");
  client.send("GET /204 HTTP/1.1\r\nHost: h\r\n\r\n");
  const auto no_content = read_message(client);
  EXPECT_EQ(no_content->status(), 204);
  EXPECT_EQ(no_content->field("content-length"), "");
  client.send("GET /304 HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(read_message(client)->field("content-length"), "7");
  EXPECT_EQ(a.connections(), 1u);
}

TEST_F(Proxying, StreamsLargeBodiesBothWays) {
  const std::string big(5'000'000, 'x');
  a.handle([&](const Message& m, Stream&) { return Backend::Reply{ok(m.body)}; });
  start();
  auto client = connect();
  std::thread sender([&] {
    EXPECT_TRUE(client.send("POST /orders HTTP/1.1\r\nHost: h\r\nContent-Length: " + std::to_string(big.size()) +
                            "\r\n\r\n" + big));
  });
  const auto answer = read_message(client);
  sender.join();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->body, big);
}

TEST_F(Proxying, ChunkedBothWaysWithTrailers) {
  a.handle([](const Message& m, Stream&) {
    return Backend::Reply{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n" +
                          std::string(m.body.size() > 10 ? "1\r\nL\r\n" : "1\r\nS\r\n") + "0\r\nX-Sum: 5\r\n\r\n"};
  });
  start();
  auto client = connect();
  client.send("POST /orders HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
  const auto answer = read_message(client);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->body, "abcS");
  EXPECT_EQ(answer->field("trailer:X-Sum"), "X-Sum: 5");
  EXPECT_EQ(a.requests().at(0).body, "abc");
  EXPECT_EQ(a.requests().at(0).field("content-length"), "3") << "small enough to be known whole";

  std::string large = "POST /orders HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (int i = 0; i < 100; ++i) large += "2710\r\n" + std::string(10'000, 'y') + "\r\n";
  client.send(large + "0\r\nX-Up: 1\r\n\r\n");
  EXPECT_EQ(read_message(client)->body, "abcL");
  const auto seen = a.requests().at(1);
  EXPECT_EQ(seen.body.size(), 1'000'000u);
  EXPECT_EQ(seen.field("transfer-encoding"), "chunked");
  EXPECT_EQ(seen.field("trailer:X-Up"), "X-Up: 1");
}

TEST_F(Proxying, AnAnswerToTheEndOfTheConnectionIsReframed) {
  a.handle([](const Message&, Stream&) { return Backend::Reply{"HTTP/1.0 200 OK\r\n\r\nall of it", true}; });
  start();
  auto client = connect();
  client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  const auto answer = read_message(client);
  EXPECT_EQ(answer->field("transfer-encoding"), "chunked");
  EXPECT_EQ(answer->body, "all of it");
  client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(read_message(client)->body, "all of it") << "the client's connection goes on";
}

TEST_F(Proxying, ServesOldClients) {
  a.handle([](const Message&, Stream&) {
    return Backend::Reply{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"};
  });
  start();
  auto client = connect();
  client.send("GET / HTTP/1.0\r\n\r\n");
  const auto answer = read_message(client);
  EXPECT_EQ(answer->body, "abc");
  EXPECT_EQ(answer->field("transfer-encoding"), "");
  EXPECT_TRUE(client.ended());
  EXPECT_EQ(a.requests().at(0).field("host"), "127.0.0.1:" + std::to_string(a.port()));
}

TEST_F(Proxying, ClosesWhenTheClientAsks) {
  start();
  auto client = connect();
  client.send("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\nGET /never HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(read_message(client)->field("connection"), "close");
  EXPECT_TRUE(client.ended());
  EXPECT_EQ(a.count(), 1u);
}

TEST_F(Proxying, PassesInterimAnswers) {
  a.handle([](const Message&, Stream&) {
    return Backend::Reply{"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + ok("done")};
  });
  start();
  auto client = connect();
  client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(read_message(client)->field("link"), "</x>");
  EXPECT_EQ(read_message(client)->body, "done");
}

TEST_F(Proxying, HundredContinueComesFromTheService) {
  a.handle_connections([](Stream& stream) {
    EXPECT_NE(stream.read_until("\r\n\r\n")->find("Expect: 100-continue"), std::string::npos);
    stream.send("HTTP/1.1 100 Go On\r\n\r\n");
    EXPECT_EQ(stream.read_exactly(5), "hello");
    stream.send(ok("got it"));
  });
  start();
  auto client = connect();
  client.send("POST /orders HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
  EXPECT_EQ(read_message(client)->start, "HTTP/1.1 100 Go On");
  client.send("hello");
  EXPECT_EQ(read_message(client)->body, "got it");
}

TEST_F(Proxying, ARefusalInsteadOfHundredContinueIsFinal) {
  a.handle_connections([](Stream& stream) {
    stream.read_until("\r\n\r\n");
    stream.send(status(403, "no"));
    EXPECT_EQ(stream.read_all(), "") << "the body was never sent";
  });
  start();
  auto client = connect();
  client.send("POST /orders HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
  const auto answer = read_message(client);
  EXPECT_EQ(answer->status(), 403);
  EXPECT_EQ(answer->field("connection"), "close");
  EXPECT_TRUE(client.ended());
}

TEST_F(Proxying, AServiceThatKnowsNothingOfHundredContinueStillGetsItsBody) {
  start();
  auto client = connect();
  client.send("POST /orders HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
  EXPECT_EQ(read_message(client)->status(), 100);
  client.send("hello");
  EXPECT_EQ(read_message(client)->body, "a /orders");
  EXPECT_EQ(a.requests().at(0).body, "hello");
}

TEST_F(Proxying, RefusesTheHostileTableAndPassesNoneOfIt) {
  start();
  for (const auto& hostile : hostile_requests()) {
    auto client = connect();
    ASSERT_TRUE(client.send(hostile.bytes));
    const auto answer = read_message(client);
    ASSERT_TRUE(answer) << hostile.name;
    EXPECT_EQ(answer->status(), hostile.status) << hostile.name;
    EXPECT_EQ(answer->field("connection"), "close") << hostile.name;
    EXPECT_NE(answer->field("date"), "") << hostile.name;
    EXPECT_TRUE(client.ended()) << hostile.name << ": never parsed any further";
  }
  EXPECT_EQ(a.count(), 0u);
  EXPECT_EQ(get("/still-here")->status(), 200);
}

// What is lenient by the RFC's leave must come out in one way only.
TEST_F(Proxying, WhatReachesTheServiceIsUnambiguous) {
  start();
  auto client = connect();
  client.send(
      "\r\nPOST http://SHOP/orders HTTP/1.1\r\nhOsT: shop\r\ntransfer-ENCODING:   Chunked  \r\n\r\n"
      "0003;a=\"b\"\r\nabc\r\n000\r\n\r\n");
  EXPECT_EQ(read_message(client)->status(), 200);
  EXPECT_EQ(a.requests().at(0).head,
            "POST /orders HTTP/1.1\r\nHost: shop\r\nX-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: http\r\n"
            "Via: 1.1 foreshadow\r\nContent-Length: 3\r\n\r\n");
}

TEST_F(Proxying, BodiesOverTheLimitAreRefused) {
  listener().options["max_body"] = "100KB";
  start();
  auto client = connect();
  client.send("POST /orders HTTP/1.1\r\nHost: h\r\nContent-Length: 100001\r\n\r\n");
  EXPECT_EQ(read_message(client)->status(), 413);
  EXPECT_EQ(a.connections(), 0u);
  auto chunked = connect();
  std::string large = "POST /orders HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (int i = 0; i < 20; ++i) large += "2710\r\n" + std::string(10'000, 'y') + "\r\n";
  chunked.send(large);
  EXPECT_EQ(read_message(chunked)->status(), 413);
  EXPECT_TRUE(chunked.ended());
}

TEST_F(Proxying, SlowRequestsTimeOut) {
  listener().header_timeout = Millis{150};
  listener().idle_timeout = Millis{400};
  start();
  auto trickle = connect();
  trickle.send("GET / HTTP/1.1\r\nHo");
  EXPECT_EQ(read_message(trickle)->status(), 408);
  auto slow_body = connect();
  slow_body.send("POST /orders HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhe");
  EXPECT_EQ(read_message(slow_body)->status(), 408);
  auto idle = connect();
  EXPECT_EQ(idle.read_all(), "") << "an idle connection is just closed";
  EXPECT_EQ(a.count(), 0u);
}

TEST_F(Proxying, NobodyThereIsToldHonestly) {
  start();
  a.kill();
  auto client = connect();
  client.send("POST /orders HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx");
  const auto answer = read_message(client);
  EXPECT_EQ(answer->status(), 503);
  EXPECT_NE(answer->body.find("nothing was sent"), std::string::npos);
  EXPECT_EQ(answer->field("retry-after"), "1");
  client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(read_message(client)->status(), 503) << "the client's connection goes on";
  EXPECT_EQ(segment("orders").current.errors, 1u);
  EXPECT_EQ(segment("browse").current.errors, 1u);
}

TEST_F(Proxying, SilenceIsToldHonestly) {
  listener().upstream_timeout = Millis{150};
  a.handle([this](const Message&, Stream&) {
    a.stall();
    return Backend::Reply{"", true};
  });
  start();
  const auto answer = ask("POST /orders HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx");
  EXPECT_EQ(answer->status(), 504);
  EXPECT_NE(answer->body.find("not known"), std::string::npos);
  EXPECT_EQ(get("/")->status(), 504);
  EXPECT_EQ(a.count(), 2u) << "a timeout is never retried";
  a.release();
}

TEST_F(Proxying, AWriteThatMayHaveHappenedIsNeverRepeated) {
  a.handle([](const Message& m, Stream&) {
    if (m.target() == "/warm") return Backend::Reply{ok("warm")};
    return Backend::Reply{"", true};
  });
  start();
  EXPECT_EQ(get("/warm")->status(), 200);
  const auto answer = ask("POST /orders HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx");
  EXPECT_EQ(answer->status(), 502);
  EXPECT_NE(answer->body.find("not known"), std::string::npos);
  EXPECT_EQ(a.count(), 2u);
}

TEST_F(Proxying, ASafeRequestOnAConnectionThatWasClosedIsRepeatedOnce) {
  std::atomic<int> seen = 0;
  a.handle([&](const Message& m, Stream&) {
    ++seen;
    // The second request of a connection is not answered: its keep-alive ended at that very moment.
    if (m.target() == "/warm") return Backend::Reply{ok("warm")};
    if (seen == 2) return Backend::Reply{"", true};
    return Backend::Reply{ok("fresh")};
  });
  start();
  EXPECT_EQ(get("/warm")->status(), 200);
  const auto answer = get("/x");
  EXPECT_EQ(answer->status(), 200);
  EXPECT_EQ(answer->body, "fresh");
  EXPECT_EQ(seen, 3);
  EXPECT_EQ(segment("browse").current.errors, 0u);
}

TEST_F(Proxying, ASafeRequestOnAFreshConnectionIsNotRepeated) {
  a.handle([](const Message&, Stream&) { return Backend::Reply{"", true}; });
  start();
  EXPECT_EQ(get("/x")->status(), 502);
  EXPECT_EQ(a.count(), 1u);
}

TEST_F(Proxying, AClosedPooledConnectionIsNotUsed) {
  a.handle([](const Message&, Stream&) { return Backend::Reply{ok("x"), true}; });
  start();
  auto client = connect();
  for (int i = 0; i < 5; ++i) {
    client.send("POST /orders HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx");
    EXPECT_EQ(read_message(client)->status(), 200);
    ASSERT_TRUE(eventually([&] { return a.open() == 0; }));
  }
  EXPECT_EQ(a.count(), 5u);
}

TEST_F(Proxying, BytesBehindAnAnswerNeverReachAnotherClient) {
  a.handle([](const Message& m, Stream&) {
    return Backend::Reply{ok(m.target()) + (m.target() == "/first" ? ok("poison") : "")};
  });
  start();
  auto client = connect();
  client.send("GET /first HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(read_message(client)->body, "/first");
  for (int i = 0; i < 5; ++i) {
    client.send("GET /next HTTP/1.1\r\nHost: h\r\n\r\n");
    EXPECT_EQ(read_message(client)->body, "/next");
  }
}

TEST_F(Proxying, GarbageFromTheServiceIsOurError) {
  start();
  for (const std::string garbage :
       {"nonsense\r\n\r\n", "HTTP/1.1 200 OK\nContent-Length: 1\n\nx", "HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 101 Switching\r\n\r\n", "HTTP/1.1 200 O", "\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"}) {
    a.handle([garbage](const Message&, Stream&) { return Backend::Reply{garbage, true}; });
    const auto answer = get("/");
    ASSERT_TRUE(answer) << garbage;
    EXPECT_EQ(answer->status(), 502) << garbage;
  }
}

TEST_F(Proxying, AnAnswerThatBreaksOffBreaksTheClientToo) {
  a.handle([](const Message& m, Stream&) {
    return Backend::Reply{m.target() == "/chunked" ? "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel"
                                                   : "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel",
                          true};
  });
  start();
  for (const auto* request : {"GET /chunked HTTP/1.1\r\nHost: h\r\n\r\n", "GET / HTTP/1.1\r\nHost: h\r\n\r\n",
                              "GET /chunked HTTP/1.0\r\nHost: h\r\n\r\n"}) {
    auto client = connect();
    client.send(request);
    bool reset = false;
    const auto got = client.read_all(&reset);
    EXPECT_TRUE(reset) << request << ": an end would look like the whole";
    EXPECT_EQ(got.find("0\r\n\r\n"), std::string::npos);
  }
  EXPECT_EQ(segment("browse").current.errors, 3u);
}

TEST_F(Proxying, AnEarlyAnswerEndsTheUpload) {
  // Answers as soon as the head is there, and reads no further until the gateway closes.
  a.handle_connections([](Stream& stream) {
    stream.read_until("\r\n\r\n");
    stream.send(status(403, "no"));
    stream.read_all();
  });
  start();
  auto client = connect();
  std::atomic<bool> done = false;
  std::thread sender([&] {
    // Without an end, until the gateway stops reading.
    auto upload = connect();
    std::string head = "POST /orders HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
    upload.send(head);
    while (upload.send("2710\r\n" + std::string(10'000, 'y') + "\r\n") && !done) {
    }
  });
  client.send("POST /orders HTTP/1.1\r\nHost: h\r\nContent-Length: 900000\r\n\r\n" + std::string(200'000, 'x'));
  const auto answer = read_message(client);
  EXPECT_EQ(answer->status(), 403);
  EXPECT_EQ(answer->field("connection"), "close");
  EXPECT_TRUE(eventually([&] { return report().in_flight == 0; }));
  done = true;
  sender.join();
}

TEST_F(Proxying, ABodyThatTurnsOutMalformedReachesNoAnswer) {
  start();
  auto client = connect();
  std::string large = "POST /orders HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (int i = 0; i < 10; ++i) large += "2710\r\n" + std::string(10'000, 'y') + "\r\n";
  client.send(large + "zz\r\nGET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(read_message(client)->status(), 400);
  EXPECT_TRUE(client.ended());
  EXPECT_EQ(a.count(), 0u) << "the service never saw a whole request";
  EXPECT_EQ(segment("orders").current.errors, 0u) << "not the service's fault";
}

TEST_F(Proxying, OneClientThatDoesNotReadHoldsUpNobody) {
  a.handle([](const Message& m, Stream&) {
    return Backend::Reply{m.target() == "/big" ? ok(std::string(20'000'000, 'x')) : ok("small")};
  });
  listener().idle_timeout = Millis{2000};
  start();
  auto lazy = connect();
  lazy.set_receive_buffer(4096);
  lazy.send("GET /big HTTP/1.1\r\nHost: h\r\n\r\n");
  ASSERT_TRUE(eventually([&] { return a.count() == 1; }));
  for (int i = 0; i < 20; ++i) EXPECT_EQ(get("/")->body, "small");
  ASSERT_TRUE(eventually([&] { return report().in_flight == 0; })) << "it was given up after its timeout";
}

TEST_F(Proxying, ClientsThatVanishLeaveNothing) {
  a.handle([this](const Message&, Stream&) {
    a.stall();
    return Backend::Reply{ok("late")};
  });
  start();
  for (int i = 0; i < 10; ++i) {
    auto client = connect();
    client.send(i % 2 ? "GET / HTTP/1.1\r\nHost: h\r\n\r\n"
                      : "POST /orders HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nx");
    if (i % 2) ASSERT_TRUE(eventually([&] { return report().in_flight > 0; }));
    client.reset();
  }
  a.release();
  ASSERT_TRUE(eventually([&] {
    const auto r = report();
    return r.sessions == 0 && r.in_flight == 0;
  }));
}

}  // namespace
}  // namespace foreshadow::kinds::http
