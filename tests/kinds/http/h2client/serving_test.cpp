// Requests to instances that speak HTTP/2: what arrives there, and what of the answer arrives here.
#include "kinds/http/h2client/service.hpp"

namespace foreshadow::kinds::http::testing {
namespace {

TEST_F(H2Upstream, AClientOfHttp1GetsItsAnswer) {
  serve(a);
  start();
  auto stream = connect();
  for (int i = 0; i < 3; ++i) {
    stream.send(
        "POST /orders?x=1 HTTP/1.1\r\nHost: shop\r\nX-Mine: Y\r\nCookie: a=1\r\nContent-Length: 5\r\n\r\nhello");
    const auto answer = read_message(stream);
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->status(), 200);
    EXPECT_EQ(answer->body, "a /orders?x=1");
    EXPECT_EQ(answer->field("content-length"), "13");
    EXPECT_EQ(answer->field("via"), "2.0 foreshadow");
  }
  EXPECT_EQ(a.connections(), 1U);
  const auto request = seen().at(0);
  const std::map<std::string, std::string> expected{{":method", "POST"},
                                                    {":scheme", "http"},
                                                    {":authority", "shop"},
                                                    {":path", "/orders?x=1"},
                                                    {"x-mine", "Y"},
                                                    {"cookie", "a=1"},
                                                    {"content-length", "5"},
                                                    {"x-forwarded-for", "127.0.0.1"},
                                                    {"x-forwarded-proto", "http"},
                                                    {"via", "1.1 foreshadow"}};
  for (const auto& [name, value] : expected) EXPECT_EQ(request.fields.at(name), value) << name;
  for (const auto* name : {"host", "connection", "te", "transfer-encoding"})
    EXPECT_FALSE(request.fields.contains(name)) << name;
  EXPECT_EQ(request.body, "hello");
}

TEST_F(H2Upstream, AClientOfHttp2GetsItsAnswer) {
  serve(a);
  start();
  auto c = client();
  const auto answer = c->ask(post("/orders", {{"te", "trailers"}, {"content-length", "5"}}), "hello");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, "a /orders");
  EXPECT_EQ(answer.fields.at("via"), "2.0 foreshadow");
  EXPECT_EQ(answer.fields.at("content-length"), "9");
  const auto request = seen().at(0);
  EXPECT_EQ(request.fields.at("te"), "trailers");
  EXPECT_EQ(request.fields.at("via"), "2.0 foreshadow");
  EXPECT_EQ(request.body, "hello");
}

TEST_F(H2Upstream, AnswersWithoutABodyHaveNone) {
  serve(a, [](H2Peer& peer, H2Request& request) {
    if (request.path() == "/none") return void(peer.head(request.stream, {{":status", "204"}}));
    if (request.path() == "/empty") return void(peer.head(request.stream, {{":status", "200"}}));
    if (request.path() == "/late") {
      peer.head(request.stream, {{":status", "200"}}, false);
      return void(peer.body(request.stream, ""));
    }
    peer.head(request.stream, {{":status", "200"}, {"content-length", "7"}});
  });
  start();
  auto stream = connect();
  const auto over_http1 = [&](const std::string& line) {
    stream.send(line + " HTTP/1.1\r\nHost: shop\r\n\r\n");
    return read_message(stream, line.starts_with("HEAD")).value_or(Message{});
  };
  EXPECT_EQ(over_http1("GET /none").status(), 204);
  EXPECT_EQ(over_http1("GET /empty").field("content-length"), "0");
  EXPECT_EQ(over_http1("GET /late").body, "");
  EXPECT_EQ(over_http1("HEAD /head").field("content-length"), "7");
  auto c = client();
  EXPECT_EQ(c->ask(testing::get("/none")).status, 204);
  EXPECT_TRUE(c->ask(testing::get("/empty")).ended);
  EXPECT_EQ(c->ask(testing::get("/late")).body, "");
  auto head = testing::get("/head");
  head[0].second = "HEAD";
  const auto answer = c->ask(head);
  EXPECT_TRUE(answer.ended);
  EXPECT_EQ(answer.fields.at("content-length"), "7");
}

TEST_F(H2Upstream, InterimAnswersPass) {
  serve(a, [](H2Peer& peer, H2Request& request) {
    peer.head(request.stream, {{":status", "103"}, {"link", "</x>"}}, false);
    peer.answer(request.stream, "done");
  });
  start();
  auto stream = connect();
  stream.send("GET / HTTP/1.1\r\nHost: shop\r\n\r\n");
  EXPECT_EQ(read_message(stream, true)->status(), 103);
  EXPECT_EQ(read_message(stream)->body, "done");
  const auto answer = client()->ask(testing::get("/"));
  EXPECT_EQ(answer.interim, std::vector<int>{103});
  EXPECT_EQ(answer.body, "done");
}

TEST_F(H2Upstream, AnExpectedContinueIsTheInstancesOrOurs) {
  a.handle_connections([](Stream& stream) {
    H2Peer peer(stream);
    while (auto* request = peer.next_head()) {
      const auto id = request->stream;
      EXPECT_EQ(request->fields.at("expect"), "100-continue");
      if (request->path() == "/refused") {
        peer.head(id, {{":status", "403"}});
        continue;
      }
      if (request->path() == "/says") peer.head(id, {{":status", "100"}}, false);
      if (!peer.read_until([&] { return peer.request(id).ended; })) return;
      peer.answer(id, "got " + peer.request(id).body);
    }
  });
  start();
  for (const std::string path : {"/says", "/silent"}) {
    auto stream = connect();
    stream.send("POST " + path + " HTTP/1.1\r\nHost: shop\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
    EXPECT_EQ(read_message(stream, true)->status(), 100) << path;
    stream.send("abc");
    EXPECT_EQ(read_message(stream)->body, "got abc") << path;
  }
  auto stream = connect();
  stream.send("POST /refused HTTP/1.1\r\nHost: shop\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
  EXPECT_EQ(read_message(stream)->status(), 403);
}

TEST_F(H2Upstream, TrailersPassBothWays) {
  serve(a, [](H2Peer& peer, H2Request& request) {
    peer.head(request.stream, {{":status", "200"}, {"x-te", request.fields["te"]}}, false);
    peer.body(request.stream, request.body, false);
    peer.head(request.stream, {{"x-sum", request.trailers["x-sum"]}, {"set-cookie", "late=1"}});
  });
  start();
  // In chunks: without a length nobody knows when the answer is over.
  auto stream = connect();
  stream.send(
      "POST /orders HTTP/1.1\r\nHost: shop\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\n\r\n"
      "5\r\nhello\r\n0\r\nX-Sum: 42\r\n\r\n");
  const auto text = stream.read_until("\r\n0\r\n").value_or("") + stream.read_until("\r\n\r\n").value_or("");
  EXPECT_NE(text.find("Transfer-Encoding: chunked\r\n"), std::string::npos) << text;
  EXPECT_NE(text.find("x-te: trailers\r\n"), std::string::npos) << text;
  EXPECT_TRUE(text.ends_with("5\r\nhello\r\n0\r\nx-sum: 42\r\n\r\n")) << text << "what must not come late is dropped";

  auto c = client();
  const auto id = c->next_stream();
  c->head(id, post("/orders", {{"te", "trailers"}}), false);
  c->body(id, "hello", false);
  c->head(id, {{"x-sum", "43"}});
  const auto answer = c->await(id);
  EXPECT_EQ(answer.body, "hello");
  EXPECT_EQ(answer.trailers.at("x-sum"), "43");
  EXPECT_FALSE(answer.trailers.contains("set-cookie"));
}

TEST_F(H2Upstream, AHundredRequestsShareAConnection) {
  constexpr std::size_t kAll = 100;
  a.handle_connections([](Stream& stream) {
    H2Peer peer(stream);
    std::vector<std::uint32_t> ids;
    while (auto* request = peer.next()) {
      ids.push_back(request->stream);
      // The last comes first: nobody waits for anybody.
      if (ids.size() == kAll)
        for (; !ids.empty(); ids.pop_back()) peer.answer(ids.back(), peer.request(ids.back()).path());
    }
  });
  start();
  auto c = client();
  std::vector<std::uint32_t> ids;
  for (std::size_t i = 0; i < kAll; ++i) {
    ids.push_back(c->next_stream());
    c->head(ids.back(), testing::get("/" + std::to_string(i)));
  }
  for (std::size_t i = 0; i < kAll; ++i) EXPECT_EQ(c->await(ids[i]).body, "/" + std::to_string(i));
  EXPECT_EQ(a.connections(), 1U);
}

TEST_F(H2Upstream, TheInstancesLimitIsKeptAndMoreConnectionsAreMade) {
  listener().options["upstream_h2_connections_max"] = "2";
  std::atomic<std::size_t> at_once = 0, most = 0;
  a.handle_connections([&](Stream& stream) {
    // SETTINGS_MAX_CONCURRENT_STREAMS
    H2Peer peer(stream, {{3, 5}});
    std::vector<std::uint32_t> ids;
    while (auto* request = peer.next_head()) {
      ids.push_back(request->stream);
      if (const auto now = ++at_once; now > most) most = now;
      if (ids.size() < 5) continue;
      a.stall();
      for (const auto id : ids) {
        --at_once;
        peer.answer(id, "x");
      }
      ids.clear();
    }
  });
  start();
  auto c = client();
  std::vector<std::uint32_t> ids;
  for (int i = 0; i < 30; ++i) {
    ids.push_back(c->next_stream());
    c->head(ids.back(), testing::get("/"));
  }
  EXPECT_TRUE(eventually([&] { return at_once == 10; }));
  EXPECT_EQ(report().in_flight, 30);
  a.release();
  for (const auto id : ids) EXPECT_EQ(c->await(id).body, "x");
  EXPECT_EQ(most, 10U);
  EXPECT_EQ(a.connections(), 2U);
}

TEST_F(H2Upstream, WhoFindsNoPlaceInTimeIsToldThatNothingWasDone) {
  listener().options["upstream_h2_connections_max"] = "1";
  listener().options["upstream_h2_streams_max"] = "1";
  listener().upstream_timeout = Millis{300};
  listener().matches[1].options["timeout"] = "20s";
  a.handle_connections([&](Stream& stream) {
    H2Peer peer(stream);
    while (peer.next_head()) a.stall();
  });
  start();
  auto first = connect();
  first.send("POST /orders HTTP/1.1\r\nHost: shop\r\nContent-Length: 0\r\n\r\n");
  ASSERT_TRUE(eventually([&] { return report().in_flight == 1; }));
  const auto answer = get("/2");
  EXPECT_EQ(answer->status(), 504);
  EXPECT_NE(answer->body.find("nothing was sent"), std::string::npos);
}

TEST_F(H2Upstream, AnInstanceOfHttp1IsFoundOutBeforeAnythingIsSent) {
  start();  // `a` answers 400 to the preface, or nothing at all
  const auto answer = post_http1("/orders", "x");
  EXPECT_EQ(answer->status(), 503);
  EXPECT_NE(answer->body.find("nothing was sent"), std::string::npos);
}

TEST_F(H2Upstream, AnOfferToUpgradeIsNotMade) {
  serve(a);
  start();
  const auto answer =
      ask("GET /ws HTTP/1.1\r\nHost: shop\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
          "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n");
  EXPECT_EQ(answer->body, "a /ws");
}

TEST_F(H2Upstream, CopiesForTheShadowGoOverHttp2Too) {
  serve(a);
  serve(b);
  start();
  apply(split(0, 1, 0, 1));
  for (int i = 0; i < 5; ++i) EXPECT_EQ(get("/x")->body, "a /x");
  EXPECT_EQ(post_http1("/orders", "hello")->body, "a /orders");
  const auto copies = [this] {
    std::vector<H2Request> found;
    for (auto& one : seen())
      if (one.fields.contains("foreshadow-mirror")) found.push_back(one);
    return found;
  };
  ASSERT_TRUE(eventually([&] { return copies().size() >= 6; }));
  ASSERT_TRUE(eventually([&] { return segment("orders").mirror.sent == 1; }));
  EXPECT_EQ(segment("orders").mirror.errors, 0U);
  EXPECT_EQ(b.connections(), 1U);
  bool found = false;
  for (const auto& copy : copies())
    if (copy.path() == "/orders") found = copy.body == "hello" && copy.fields.at(":method") == "POST";
  EXPECT_TRUE(found);
}

TEST_F(H2Upstream, AHandoverMovesRequestsToTheOtherSide) {
  serve(a);
  serve(b);
  start();
  auto c = client();
  EXPECT_EQ(c->ask(post("/orders"), "1").body, "a /orders");
  const auto ack = hold(1);
  ASSERT_TRUE(ack) << ack.error().what;
  const auto parked = c->next_stream();
  c->head(parked, testing::get("/parked"));
  ASSERT_TRUE(eventually([&] { return report().parked == 1; }));
  apply(handed_over(1));
  EXPECT_EQ(c->await(parked).body, "b /parked");
  EXPECT_EQ(c->ask(post("/orders"), "2").body, "b /orders");
  EXPECT_EQ(segment("orders").current.errors, 0U);
}

}  // namespace
}  // namespace foreshadow::kinds::http::testing
