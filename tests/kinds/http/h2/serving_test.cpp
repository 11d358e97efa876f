#include <chrono>

#include "kinds/http/h2/client.hpp"
#include "kinds/http/rig.hpp"

namespace foreshadow::kinds::http {
namespace {

using namespace testing;

struct H2Serving : Rig {
  using Fields = testing::Fields;
  // Over HTTP/1 and on a connection of its own, unlike get() of HTTP/2.
  std::optional<Message> get_http1(const std::string& path) const { return Rig::get(path); }
  static Fields get(const std::string& path, const Fields& more = {}) { return testing::get(path, more); }
  std::unique_ptr<H2Client> client(const std::vector<std::pair<std::uint16_t, std::uint32_t>>& settings = {}) {
    return std::make_unique<H2Client>(connect(), settings);
  }
};

// SETTINGS_INITIAL_WINDOW_SIZE
constexpr std::uint16_t kInitialWindow = 4;
constexpr std::uint32_t kNoError = 0, kProtocolError = 1, kInternalError = 2, kRefusedStream = 7, kCancel = 8;

TEST_F(H2Serving, PassesARequestAndItsAnswer) {
  start();
  auto c = client();
  const auto answer =
      c->ask(post("/orders?x=1",
                  {{"x-mine", "y"}, {"cookie", "a=1"}, {"te", "trailers"}, {"cookie", "b=2"}, {"content-length", "5"}}),
             "hello");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, "a /orders?x=1");
  EXPECT_EQ(answer.fields.at("via"), "1.1 foreshadow");
  EXPECT_EQ(answer.fields.at("content-length"), "13");
  const auto seen = a.requests().at(0);
  EXPECT_EQ(seen.start, "POST /orders?x=1 HTTP/1.1");
  EXPECT_EQ(seen.body, "hello");
  EXPECT_EQ(seen.field("host"), "shop");
  EXPECT_EQ(seen.field("x-mine"), "y");
  EXPECT_EQ(seen.field("cookie"), "a=1; b=2");
  EXPECT_EQ(seen.field("te"), "trailers");
  EXPECT_EQ(seen.field("connection"), "TE");
  EXPECT_EQ(seen.field("x-forwarded-for"), "127.0.0.1");
  EXPECT_EQ(seen.field("via"), "2.0 foreshadow");
  EXPECT_EQ(seen.head.find("\r\n:"), std::string::npos);
}

TEST_F(H2Serving, WhatIsToGoNoFurtherIsAnsweredHere) {
  start();
  auto c = client();
  auto head = get("/x", {{"max-forwards", "0"}});
  for (auto& [name, value] : head)
    if (name == ":method") value = "OPTIONS";
  const auto answer = c->ask(head);
  EXPECT_EQ(answer.status, 200);
  EXPECT_NE(answer.body.find("the gateway"), std::string::npos);
  EXPECT_TRUE(a.requests().empty());
}

TEST_F(H2Serving, ServesHttp1OnTheSameListener) {
  start();
  auto c = client();
  EXPECT_EQ(c->ask(get("/two")).body, "a /two");
  EXPECT_EQ(get_http1("/one")->body, "a /one");
  auto slow = connect();
  // A preface that comes byte by byte is one all the same.
  for (const char byte : std::string("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")) slow.send({&byte, 1});
  slow.send(std::string("\0\0\0\4\0\0\0\0\0", 9));
  EXPECT_EQ(slow.read_exactly(5)->at(3), 4) << "SETTINGS";
}

TEST_F(H2Serving, CanBeSwitchedOff) {
  listener().options["h2"] = "false";
  start();
  auto stream = connect();
  stream.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
  EXPECT_EQ(read_message(stream)->status(), 505);
}

TEST_F(H2Serving, StreamsDoNotWaitForEachOther) {
  a.handle([this](const Message& m, Stream&) {
    if (m.target() == "/slow") a.stall();
    return Backend::Reply{ok(m.target())};
  });
  start();
  auto c = client();
  const auto slow = c->next_stream();
  c->head(slow, get("/slow"));
  for (int i = 0; i < 20; ++i) EXPECT_EQ(c->ask(get("/" + std::to_string(i))).body, "/" + std::to_string(i));
  EXPECT_FALSE(c->answer(slow).ended);
  EXPECT_EQ(report().in_flight, 1);
  a.release();
  EXPECT_EQ(c->await(slow).body, "/slow");
  EXPECT_TRUE(eventually([&] { return report().in_flight == 0; }));
  EXPECT_EQ(segment("browse").current.requests, 21u);
  EXPECT_EQ(segment("browse").current.errors, 0u);
}

TEST_F(H2Serving, ManyAtOnceEachGetTheirOwn) {
  start();
  auto c = client();
  std::vector<std::uint32_t> streams;
  for (int round = 0; round < 10; ++round) {
    for (int i = 0; i < 100; ++i) {
      streams.push_back(c->next_stream());
      c->head(streams.back(), get("/" + std::to_string(streams.back())));
    }
    for (const auto stream : streams) EXPECT_EQ(c->await(stream).body, "a /" + std::to_string(stream));
    streams.clear();
  }
  EXPECT_EQ(a.count(), 1000u);
}

TEST_F(H2Serving, AnswersWithoutBodies) {
  a.handle([](const Message& m, Stream&) {
    if (m.method() == "HEAD") return Backend::Reply{"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"};
    if (m.target() == "/304")
      return Backend::Reply{"HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\nETag: x\r\n\r\n"};
    if (m.target() == "/zero") return Backend::Reply{ok("")};
    return Backend::Reply{"HTTP/1.1 204 No Content\r\n\r\n"};
  });
  start();
  auto c = client();
  auto head = get("/");
  head[0].second = "HEAD";
  const auto answer = c->ask(head);
  EXPECT_EQ(answer.fields.at("content-length"), "1000");
  EXPECT_TRUE(answer.ended);
  EXPECT_EQ(c->ask(get("/304")).fields.at("content-length"), "7");
  EXPECT_EQ(c->ask(get("/204")).status, 204);
  EXPECT_EQ(c->ask(get("/zero")).fields.at("content-length"), "0");
}

TEST_F(H2Serving, AnUploadOfUnknownLengthIsChunked) {
  start();
  auto c = client();
  EXPECT_EQ(c->ask(post("/orders"), "small").status, 200);
  EXPECT_EQ(a.requests().at(0).field("content-length"), "5") << "what is here whole goes with its length";
  EXPECT_EQ(c->ask(post("/orders"), std::string(300'000, 'x')).status, 200);
  EXPECT_EQ(a.requests().at(1).field("transfer-encoding"), "chunked");
  EXPECT_EQ(a.requests().at(1).body, std::string(300'000, 'x'));
}

TEST_F(H2Serving, LargeBodiesBothWaysThroughTinyWindows) {
  a.handle([](const Message& m, Stream&) {
    return Backend::Reply{m.target() == "/chunked" ? "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" +
                                                         std::string("61A80\r\n") + m.body + "\r\n0\r\n\r\n"
                                                   : ok(m.body)};
  });
  listener().options["h2_stream_window"] = "1KiB";
  start();
  auto c = client({{kInitialWindow, 1000}});
  ASSERT_TRUE(c->round_trip());
  std::string body(400'000, '\0');
  for (std::size_t i = 0; i < body.size(); ++i) body[i] = static_cast<char>(i * 7 + i / 251);
  for (const auto* path : {"/orders", "/chunked"}) {
    const auto answer = c->ask(post(path), body);
    EXPECT_EQ(answer.status, 200);
    EXPECT_TRUE(answer.body == body) << path << ": " << answer.body.size();
  }
}

TEST_F(H2Serving, AClientThatTakesNothingStopsTheServiceFromSending) {
  std::atomic<std::size_t> sent = 0;
  a.handle_connections([&](Stream& stream) {
    stream.read_until("\r\n\r\n");
    stream.send("HTTP/1.1 200 OK\r\nContent-Length: 200000000\r\n\r\n");
    const std::string piece(100'000, 'x');
    for (int i = 0; i < 2000 && stream.send(piece); ++i) sent += piece.size();
  });
  start();
  auto c = client();
  c->automatic = false;
  c->head(c->next_stream(), get("/"));
  ASSERT_TRUE(eventually([&] { return sent > 65'535; }));
  // Until the kernel's buffers between them are full.
  std::size_t before = 0;
  ASSERT_TRUE(eventually([&] { return std::exchange(before, sent.load()) == sent.load(); }, kPatient, Millis{200}));
  EXPECT_LT(sent, 50'000'000u);
  ASSERT_TRUE(c->round_trip()) << "the connection lives";
  EXPECT_EQ(c->answer(1).body.size(), 65'535u);
  c->send(kRstStream, 0, 1, uint32(kCancel));
  EXPECT_TRUE(eventually([&] { return report().in_flight == 0; }));
  EXPECT_TRUE(eventually([&] { return a.open() == 0; })) << "given up at the service too";
}

TEST_F(H2Serving, AServiceThatTakesNothingStopsTheClientFromSending) {
  a.handle_connections([&](Stream& stream) {
    stream.read_until("\r\n\r\n");
    a.stall();
  });
  start();
  auto c = client();
  const auto stream = c->next_stream();
  c->head(stream, post("/orders"), false);
  std::size_t sent = 0;
  const std::string piece(16'384, 'x');
  // As much as is granted, until nothing more is after several times asking.
  for (int idle = 0; idle < 3;) {
    ASSERT_TRUE(c->round_trip());
    const auto room = static_cast<std::size_t>(std::max<std::int64_t>(0, c->window(stream)));
    idle = room == 0 ? idle + 1 : 0;
    for (std::size_t left = room; left > 0; left -= std::min(left, piece.size())) {
      const auto n = std::min(left, piece.size());
      c->body(stream, std::string_view(piece).substr(0, n), false);
      sent += n;
    }
    ASSERT_LT(sent, 50'000'000u) << "nobody takes it, and yet it is granted";
  }
  EXPECT_GE(sent, std::size_t{256} << 10) << "the whole window was used";
}

TEST_F(H2Serving, UploadsThatFillTheConnectionDoNotWaitForEachOther) {
  listener().options["h2_connection_window"] = "65535";
  start();
  auto c = client();
  ASSERT_TRUE(c->round_trip());
  std::vector<std::uint32_t> streams;
  for (int i = 0; i < 20; ++i) streams.push_back(c->next_stream());
  for (const auto stream : streams) c->head(stream, post("/orders"), false);
  // None of them comes as far as being read ahead.
  for (int round = 0; round < 10; ++round)
    for (const auto stream : streams) ASSERT_TRUE(c->body(stream, std::string(5000, 'x'), round == 9));
  for (const auto stream : streams) EXPECT_EQ(c->await(stream).status, 200);
}

TEST_F(H2Serving, TrailersPassBothWays) {
  a.handle([](const Message&, Stream&) {
    return Backend::Reply{
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: Grpc-Status\r\n\r\n"
        "5\r\nhello\r\n0\r\nGrpc-Status: 0\r\nX-Sum: abc\r\n\r\n"};
  });
  start();
  auto c = client();
  const auto stream = c->next_stream();
  c->head(stream, post("/orders"), false);
  c->body(stream, "hello", false);
  c->send(kHeaders, kEndHeaders | kEndStream, stream, c->pack({{"x-checksum", "123"}}));
  const auto answer = c->await(stream);
  EXPECT_EQ(answer.body, "hello");
  EXPECT_EQ(answer.trailers.at("grpc-status"), "0");
  EXPECT_EQ(answer.trailers.at("x-sum"), "abc");
  EXPECT_EQ(a.requests().at(0).field("trailer:x-checksum"), "x-checksum: 123");
}

TEST_F(H2Serving, TrailersWithoutABodyPass) {
  start();
  auto c = client();
  const auto stream = c->next_stream();
  c->head(stream, post("/orders"), false);
  c->send(kHeaders, kEndHeaders | kEndStream, stream, c->pack({{"x-checksum", "123"}}));
  EXPECT_EQ(c->await(stream).status, 200);
  EXPECT_EQ(a.requests().at(0).field("trailer:x-checksum"), "x-checksum: 123");
}

// Whether head and body came in one segment or in many must not show at the service.
TEST_F(H2Serving, BodiesAreFramedHoweverTheyCome) {
  start();
  for (const bool together : {true, false}) {
    auto c = client();
    const auto block = c->pack(post("/orders"));
    const auto frame = [](std::uint8_t type, std::uint8_t flags, const std::string& payload) {
      return uint32(static_cast<std::uint32_t>(payload.size())).substr(1) + static_cast<char>(type) +
             static_cast<char>(flags) + uint32(1) + payload;
    };
    const auto bytes = frame(kHeaders, kEndHeaders, block) + frame(kData, kEndStream, "GET /smuggled HTTP/1.1\r\n\r\n");
    if (together)
      c->raw().send(bytes);
    else
      for (const char byte : bytes) c->raw().send({&byte, 1});
    EXPECT_EQ(c->await(1).status, 200);
  }
  ASSERT_EQ(a.count(), 2u);
  for (const auto& seen : a.requests()) {
    EXPECT_EQ(seen.body, "GET /smuggled HTTP/1.1\r\n\r\n");
    EXPECT_EQ(seen.field("content-length"), "26");
  }
}

TEST_F(H2Serving, TrailersThatWouldRouteAreRefused) {
  start();
  auto c = client();
  for (const auto* name : {"host", "content-length", "authorization", "foreshadow-mirror"}) {
    const auto stream = c->next_stream();
    c->head(stream, post("/orders"), false);
    c->body(stream, "hello", false);
    c->send(kHeaders, kEndHeaders | kEndStream, stream, c->pack({{name, "1"}}));
    const auto answer = c->await(stream);
    EXPECT_TRUE(answer.status == 400 || answer.reset) << name;
  }
  EXPECT_EQ(a.count(), 0u);
}

TEST_F(H2Serving, AClientThatResetsInMidBodyEndsItsUpload) {
  start();
  auto c = client();
  const auto stream = c->next_stream();
  c->head(stream, post("/orders"), false);
  c->body(stream, std::string(200'000, 'x'), false);
  ASSERT_TRUE(eventually([&] { return a.open() == 1; }));
  c->send(kRstStream, 0, stream, uint32(kCancel));
  ASSERT_TRUE(eventually([&] { return a.open() == 0 && report().in_flight == 0; }));
  EXPECT_EQ(a.count(), 0u) << "the service never saw a whole request";
  EXPECT_EQ(segment("orders").current.errors, 0u) << "not the service's fault";
  EXPECT_EQ(c->ask(get("/next")).body, "a /next");
}

TEST_F(H2Serving, AClientThatResetsWhileTheServiceWorksFreesIt) {
  a.handle([this](const Message& m, Stream&) {
    if (m.target() == "/slow") a.stall();
    return Backend::Reply{ok("late")};
  });
  start();
  auto c = client();
  c->head(c->next_stream(), get("/slow"));
  ASSERT_TRUE(eventually([&] { return a.count() == 1; }));
  c->send(kRstStream, 0, 1, uint32(kCancel));
  ASSERT_TRUE(eventually([&] { return report().in_flight == 0; })) << "nobody waits for the answer";
  EXPECT_EQ(c->ask(get("/next")).status, 200);
}

TEST_F(H2Serving, AnAnswerThatBreaksOffIsResetNeverEnded) {
  a.handle([](const Message& m, Stream&) {
    return Backend::Reply{m.target() == "/chunked" ? "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel"
                          : m.target() == "/bad"   ? "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhelXX"
                                                   : "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel",
                          true};
  });
  start();
  auto c = client();
  for (const auto* path : {"/", "/chunked", "/bad"}) {
    const auto answer = c->ask(get(path));
    EXPECT_EQ(answer.reset, kInternalError) << path;
    EXPECT_FALSE(answer.ended) << path;
  }
  EXPECT_EQ(segment("browse").current.errors, 3u);
}

TEST_F(H2Serving, FailuresOfTheServiceAreToldAsInHttp1) {
  start();
  auto c = client();
  a.handle([](const Message&, Stream&) { return Backend::Reply{"", true}; });
  EXPECT_EQ(c->ask(get("/")).status, 502);
  a.handle([](const Message&, Stream&) { return Backend::Reply{"nonsense\r\n\r\n", true}; });
  EXPECT_EQ(c->ask(get("/")).status, 502);
  a.kill();
  const auto answer = c->ask(get("/"));
  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(answer.fields.at("retry-after"), "1");
  EXPECT_NE(answer.body.find("nothing was sent"), std::string::npos);
  EXPECT_EQ(c->ask(post("/orders"), std::string(300'000, 'x')).status, 503) << "before its body was read";
}

TEST_F(H2Serving, AWriteIsNeverSentTwice) {
  std::atomic<int> seen = 0;
  a.handle([&](const Message& m, Stream&) {
    ++seen;
    if (m.target() == "/warm") return Backend::Reply{ok("warm")};
    return m.method() == "POST" || seen == 2 ? Backend::Reply{"", true} : Backend::Reply{ok("fresh")};
  });
  start();
  auto c = client();
  EXPECT_EQ(c->ask(get("/warm")).status, 200);
  EXPECT_EQ(c->ask(get("/safe")).body, "fresh") << "a safe one is repeated on a fresh connection";
  EXPECT_EQ(seen, 3);
  const auto answer = c->ask(post("/orders"), "x");
  EXPECT_EQ(answer.status, 502);
  EXPECT_NE(answer.body.find("not known"), std::string::npos);
  EXPECT_EQ(seen, 4);
}

TEST_F(H2Serving, AnEarlyAnswerEndsTheUpload) {
  a.handle_connections([](Stream& stream) {
    stream.read_until("\r\n\r\n");
    stream.send(status(403, "no"));
    stream.read_all();
  });
  start();
  auto c = client();
  const auto stream = c->next_stream();
  c->head(stream, post("/orders"), false);
  c->body(stream, std::string(2'000'000, 'x'));
  const auto answer = c->await(stream);
  EXPECT_EQ(answer.status, 403);
  EXPECT_EQ(answer.body, "no");
  ASSERT_TRUE(c->round_trip());
  EXPECT_EQ(c->answer(stream).reset, kNoError) << "the rest is not wanted (RFC 9113, section 8.1)";
}

TEST_F(H2Serving, InterimAnswersPass) {
  a.handle([](const Message& m, Stream& stream) {
    if (m.target() == "/hints") stream.send("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n");
    return Backend::Reply{ok("x")};
  });
  start();
  auto c = client();
  EXPECT_EQ(c->ask(get("/hints")).interim, std::vector<int>{103});
}

TEST_F(H2Serving, AClientThatWaitsForContinueGetsItFromTheService) {
  a.handle_connections([](Stream& stream) {
    const auto head = stream.read_until("\r\n\r\n");
    EXPECT_NE(head->find("Expect: 100-continue"), std::string::npos);
    stream.send("HTTP/1.1 100 Continue\r\n\r\n");
    stream.read_exactly(5);
    stream.send(ok("thanks"));
  });
  start();
  auto c = client();
  const auto stream = c->next_stream();
  c->head(stream, post("/orders", {{"expect", "100-continue"}, {"content-length", "5"}}), false);
  ASSERT_TRUE(c->await_frame([&](const Frame& f) { return f.type == kHeaders && f.stream == stream; }));
  EXPECT_EQ(c->answer(stream).interim, std::vector<int>{100});
  c->body(stream, "hello");
  EXPECT_EQ(c->await(stream).body, "thanks");
}

TEST_F(H2Serving, MalformedRequestsAreRefusedAndOthersGoOn) {
  start();
  auto c = client();
  const auto reset = [&](const Fields& fields, const char* what) {
    EXPECT_EQ(c->ask(fields).reset, kProtocolError) << what;
  };
  reset(get("/", {{"connection", "close"}}), "connection-specific");
  reset(get("/", {{"transfer-encoding", "chunked"}}), "transfer-encoding");
  reset(get("/", {{"te", "gzip"}}), "te");
  reset(get("/", {{"X-Upper", "1"}}), "upper case");
  reset(get("/", {{"x-split", std::string("a\r\nx-b: 1")}}), "a line feed in a value");
  reset({{":method", "GET"}, {":scheme", "http"}, {":authority", "shop"}}, "no path");
  reset({{":method", "GET"}, {":scheme", "http"}, {":path", "/"}}, "no host");
  const auto refused = [&](const Fields& fields, int status, const char* what) {
    EXPECT_EQ(c->ask(fields).status, status) << what;
  };
  refused(get("/", {{"host", "elsewhere"}}), 400, "two hosts");
  refused({{":method", "CONNECT"}, {":authority", "shop:443"}}, 501, "CONNECT");
  refused(get("/", {{"expect", "gold"}}), 417, "unknown expectation");
  refused(get("/" + std::string(10'000, 'x')), 414, "long target");
  refused(get("/", {{"x-long", std::string(40'000, 'x')}}), 431, "large head");
  Fields many;
  for (int i = 0; i < 200; ++i) many.emplace_back("x-" + std::to_string(i), "1");
  refused(get("/", many), 431, "many fields");
  EXPECT_EQ(a.count(), 0u);
  EXPECT_EQ(c->ask(get("/", {{"host", "shop"}})).status, 200) << "the same host twice is one";
}

TEST_F(H2Serving, ABodyUnlikeItsLengthReachesNoAnswer) {
  start();
  auto c = client();
  EXPECT_EQ(c->ask(post("/orders", {{"content-length", "10"}}), "hello").reset, kProtocolError);
  EXPECT_EQ(c->ask(post("/orders", {{"content-length", "3"}}), "hello").reset, kProtocolError);
  EXPECT_EQ(a.count(), 0u);
}

TEST_F(H2Serving, ABodyOverTheLimitIsRefused) {
  listener().options["max_body"] = "100KiB";
  start();
  auto c = client();
  EXPECT_EQ(c->ask(post("/orders", {{"content-length", "200000"}}), std::string(200'000, 'x')).status, 413);
  EXPECT_EQ(c->ask(post("/orders"), std::string(200'000, 'x')).status, 413);
  EXPECT_EQ(c->ask(post("/orders"), std::string(100'000, 'x')).status, 200);
}

TEST_F(H2Serving, MoreStreamsThanAllowedAreRefusedOrEndTheConnection) {
  a.handle([this](const Message&, Stream&) {
    a.stall();
    return Backend::Reply{ok("x")};
  });
  listener().options["h2_streams_max"] = "5";
  start();
  auto c = client();
  ASSERT_TRUE(c->round_trip());
  for (int i = 0; i < 6; ++i) c->head(c->next_stream(), get("/"));
  const auto frame = c->await_frame([](const Frame& f) { return f.type == kGoaway || f.type == kRstStream; });
  ASSERT_TRUE(frame);
  EXPECT_TRUE(frame->code() == kProtocolError || frame->code() == kRefusedStream);
  a.release();
  EXPECT_LE(a.count(), 5u);
}

}  // namespace
}  // namespace foreshadow::kinds::http
