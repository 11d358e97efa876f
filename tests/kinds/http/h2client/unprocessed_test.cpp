// When a request may be sent again: where the instance provably did nothing with it, and nowhere else.
#include <fmt/format.h>

#include "kinds/http/h2client/service.hpp"

namespace foreshadow::kinds::http::testing {
namespace {

constexpr std::uint32_t kInternalError = 2, kRefusedStream = 7, kCancel = 8;

// What becomes of the first request with this path; the ones after it are answered.
struct H2Unprocessed : H2Upstream {
  void fail_first(std::function<bool(H2Peer& peer, H2Request& request)> fail) {
    a.handle_connections([this, fail = std::move(fail)](Stream& stream) {
      H2Peer peer(stream);
      while (auto* request = peer.next_head()) {
        if (request->path() == "/orders" && count_++ == 0) {
          if (!fail(peer, *request)) return;
          continue;
        }
        const auto id = request->stream;
        if (!peer.read_until([&] { return peer.request(id).ended || peer.request(id).reset; })) return;
        peer.answer(id, request->path() + " " + request->body);
      }
    });
    start();
    // So that there is a connection which was used before.
    ASSERT_EQ(Rig::get("/first")->status(), 200);
  }
  std::atomic<int> count_ = 0;
};

TEST_F(H2Unprocessed, ARefusedPostIsSentAgain) {
  fail_first([](H2Peer& peer, H2Request& request) { return peer.reset(request.stream, kRefusedStream); });
  const auto answer = post_http1("/orders", "one");
  EXPECT_EQ(answer->status(), 200);
  EXPECT_EQ(answer->body, "/orders one");
  EXPECT_EQ(count_, 2);
}

TEST_F(H2Unprocessed, ARefusedPostOfHttp2IsSentAgain) {
  fail_first([](H2Peer& peer, H2Request& request) { return peer.reset(request.stream, kRefusedStream); });
  EXPECT_EQ(client()->ask(post("/orders"), "two").body, "/orders two");
  EXPECT_EQ(count_, 2);
}

TEST_F(H2Unprocessed, ARefusedPostIsNotSentAThirdTime) {
  serve(a, [this](H2Peer& peer, H2Request& request) {
    ++count_;
    peer.reset(request.stream, kRefusedStream);
  });
  start();
  const auto answer = post_http1("/orders", "x");
  EXPECT_EQ(answer->status(), 503);
  EXPECT_NE(answer->body.find("nothing was done"), std::string::npos) << answer->body;
  EXPECT_EQ(answer->field("retry-after"), "1");
  EXPECT_EQ(count_, 2);
}

// What was on its way beyond what is read ahead is in nobody's hands any more.
struct RefusedMidway : H2Unprocessed {
  std::atomic<bool> refused_ = false;
  void refuse_midway() {
    fail_first([this](H2Peer& peer, H2Request& request) {
      const auto id = request.stream;
      if (!peer.read_until([&] { return peer.request(id).body.size() >= 150'000; })) return false;
      peer.reset(id, kRefusedStream);
      refused_ = true;
      return true;
    });
  }
};

TEST_F(RefusedMidway, AnUploadIsNotSentAgainWithAHole) {
  refuse_midway();
  auto c = connect();
  const auto chunk = [](std::size_t bytes) { return fmt::format("{:x}\r\n{}\r\n", bytes, std::string(bytes, 'x')); };
  ASSERT_TRUE(c.send("POST /orders HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk(100'000)));
  ASSERT_TRUE(eventually([&] { return count_ == 1; }));
  ASSERT_TRUE(c.send(chunk(100'000)));
  ASSERT_TRUE(eventually([&] { return refused_.load(); }));
  c.send(chunk(1) + "0\r\n\r\n");
  const auto answer = read_message(c);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status(), 503);
  EXPECT_NE(answer->body.find("nothing was done"), std::string::npos) << answer->body.substr(0, 100);
  EXPECT_EQ(count_, 1);
}

TEST_F(RefusedMidway, NorIsOneOfHttp2) {
  refuse_midway();
  auto c = client();
  const auto stream = c->next_stream();
  c->head(stream, post("/orders"), false);
  ASSERT_TRUE(c->body(stream, std::string(100'000, 'x'), false));
  ASSERT_TRUE(eventually([&] { return count_ == 1; }));
  ASSERT_TRUE(c->body(stream, std::string(100'000, 'x'), false));
  ASSERT_TRUE(eventually([&] { return refused_.load(); }));
  c->body(stream, "x");
  const auto answer = c->await(stream);
  EXPECT_EQ(answer.status, 503);
  EXPECT_NE(answer.body.find("nothing was done"), std::string::npos) << answer.body.substr(0, 100);
  EXPECT_EQ(count_, 1);
}

TEST_F(H2Unprocessed, AnUploadIsSentAgainAsLongAsAllOfItIsHere) {
  fail_first([](H2Peer& peer, H2Request& request) { return peer.reset(request.stream, kRefusedStream); });
  auto c = client();
  const auto stream = c->next_stream();
  const std::string begun(100'000, 'x');
  c->head(stream, post("/orders"), false);
  ASSERT_TRUE(c->body(stream, begun, false));
  ASSERT_TRUE(eventually([&] { return count_ == 2; }));
  ASSERT_TRUE(c->body(stream, "the rest"));
  const auto answer = c->await(stream);
  EXPECT_EQ(answer.status, 200);
  EXPECT_TRUE(answer.body == "/orders " + begun + "the rest");
  EXPECT_EQ(c->ask(post("/orders"), "another").body, "/orders another") << "its connection lives";
}

TEST_F(H2Unprocessed, ACancelledPostIsNot) {
  fail_first([](H2Peer& peer, H2Request& request) { return peer.reset(request.stream, kCancel); });
  const auto answer = post_http1("/orders", "x");
  EXPECT_EQ(answer->status(), 502);
  EXPECT_NE(answer->body.find("not known"), std::string::npos) << answer->body;
  EXPECT_EQ(count_, 1);
  EXPECT_EQ(segment("orders").current.failures.reset, 1U);
}

TEST_F(H2Unprocessed, APostThatFailedInsideIsNot) {
  fail_first([](H2Peer& peer, H2Request& request) { return peer.reset(request.stream, kInternalError); });
  EXPECT_EQ(client()->ask(post("/orders"), "x").status, 502);
  EXPECT_EQ(count_, 1);
}

TEST_F(H2Unprocessed, APostThatWasAnsweredAtAllIsNotHoweverItEnds) {
  fail_first([](H2Peer& peer, H2Request& request) {
    peer.head(request.stream, {{":status", "103"}}, false);
    return peer.reset(request.stream, kRefusedStream);
  });
  EXPECT_EQ(client()->ask(post("/orders"), "x").status, 502);
  EXPECT_EQ(count_, 1);
}

TEST_F(H2Unprocessed, APostBeyondAGoawayIsSentOverAnotherConnection) {
  fail_first([](H2Peer& peer, H2Request& request) {
    peer.goaway(request.stream - 2);
    return false;
  });
  const auto answer = post_http1("/orders", "three");
  EXPECT_EQ(answer->status(), 200) << answer->body;
  EXPECT_EQ(answer->body, "/orders three");
  EXPECT_EQ(a.connections(), 2U);
}

TEST_F(H2Unprocessed, APostWithinAGoawayIsAnsweredOverTheOldConnection) {
  fail_first([](H2Peer& peer, H2Request& request) {
    const auto id = request.stream;
    peer.goaway(id);
    if (!peer.read_until([&] { return peer.request(id).ended; })) return false;
    return peer.answer(id, "the last");
  });
  EXPECT_EQ(post_http1("/orders", "x")->body, "the last");
  EXPECT_EQ(post_http1("/orders", "y")->body, "/orders y");
  EXPECT_EQ(a.connections(), 2U);
  EXPECT_TRUE(eventually([&] { return a.open() == 1; })) << "the first has ended";
}

TEST_F(H2Unprocessed, APostWithinAGoawayWhoseConnectionEndsIsNotSentAgain) {
  fail_first([](H2Peer& peer, H2Request& request) {
    peer.goaway(request.stream);
    return false;
  });
  EXPECT_EQ(post_http1("/orders", "x")->status(), 502);
  EXPECT_EQ(count_, 1);
}

TEST_F(H2Unprocessed, AGetOverAConnectionThatDiesIsSentAgain) {
  listener().matches[0].conditions = {{"method", "GET"}};
  std::atomic<int> gets = 0;
  a.handle_connections([&](Stream& stream) {
    H2Peer peer(stream);
    while (auto* request = peer.next()) {
      if (request->path() == "/again" && gets++ == 0) return;
      peer.answer(request->stream, request->path());
    }
  });
  start();
  EXPECT_EQ(Rig::get("/first")->status(), 200);
  EXPECT_EQ(Rig::get("/again")->body, "/again");
  EXPECT_EQ(gets, 2);
}

TEST_F(H2Unprocessed, AConnectionThatEndedWhileIdleIsNotUsed) {
  std::atomic<int> n = 0;
  a.handle_connections([&](Stream& stream) {
    H2Peer peer(stream);
    if (auto* request = peer.next()) peer.answer(request->stream, std::to_string(++n));
  });
  start();
  for (int i = 1; i <= 20; ++i) {
    const auto answer = post_http1("/orders", "x");
    EXPECT_EQ(answer->body, std::to_string(i));
    EXPECT_TRUE(eventually([&] { return a.open() == 0; }));
  }
}

TEST_F(H2Unprocessed, ATimeoutIsNoLeaveToTryAgain) {
  listener().upstream_timeout = Millis{200};
  std::atomic<bool> given_up = false;
  fail_first([&](H2Peer& peer, H2Request& request) {
    const auto id = request.stream;
    peer.read_until([&] { return peer.request(id).reset.has_value(); });
    given_up = peer.request(id).reset == kCancel;
    return true;
  });
  EXPECT_EQ(post_http1("/orders", "x")->status(), 504);
  EXPECT_EQ(count_, 1);
  EXPECT_TRUE(eventually([&] { return given_up.load(); }));
}

}  // namespace
}  // namespace foreshadow::kinds::http::testing
