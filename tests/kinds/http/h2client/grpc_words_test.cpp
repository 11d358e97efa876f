// What the gateway says to a call of gRPC when it must answer itself, and how calls that last are moved.
#include "kinds/http/h2client/service.hpp"
#include "kinds/http/wire/grpc.hpp"

namespace foreshadow::kinds::http::testing {
namespace {

struct GrpcWords : H2Upstream {
  Fields call(const std::string& path = "/orders") const {
    return post(path, {{"content-type", "application/grpc+proto"}, {"te", "trailers"}});
  }
  // A status in the only header section there is.
  void expect_status(const H2Answer& answer, const std::string& code, const std::string& words) {
    EXPECT_EQ(answer.status, 200);
    EXPECT_TRUE(answer.ended);
    EXPECT_EQ(answer.body, "");
    EXPECT_EQ(answer.fields.at("content-type"), "application/grpc");
    EXPECT_EQ(answer.fields.at("grpc-status"), code);
    EXPECT_NE(answer.fields.at("grpc-message").find(words), std::string::npos) << answer.fields.at("grpc-message");
  }
};

TEST(Grpc, KnowsItsCalls) {
  const auto is = [](const std::string& type) {
    const auto text = "POST / HTTP/1.1\r\nHost: h\r\nContent-Type: " + type + "\r\n\r\n";
    return is_grpc(*parse_request_head(text, {}));
  };
  EXPECT_TRUE(is("application/grpc"));
  EXPECT_TRUE(is("application/grpc+proto"));
  EXPECT_TRUE(is("Application/gRPC;x=1"));
  EXPECT_FALSE(is("application/grpc-web"));
  EXPECT_FALSE(is("application/json"));
}

TEST(Grpc, OnlyWhatWasNotDoneMayBeCalledAgain) {
  for (int status = 400; status < 600; ++status) {
    EXPECT_EQ(grpc_status(status, true), 14);
    EXPECT_NE(grpc_status(status, false), 14) << status;
  }
  EXPECT_EQ(grpc_status(504, false), 4);
  EXPECT_EQ(grpc_status(502, false), 2);
}

TEST(Grpc, MessagesArePercentEncoded) { EXPECT_EQ(grpc_message("100 % sure\n\xc3\xab"), "100 %25 sure%0A%C3%AB"); }

TEST_F(GrpcWords, NobodyThereIsUnavailable) {
  a.kill();
  start();
  expect_status(client()->ask(call(), "x"), "14", "nothing was sent");
}

TEST_F(GrpcWords, WhatWasRefusedIsUnavailable) {
  serve(a, [](H2Peer& peer, H2Request& request) { peer.reset(request.stream, 7); });
  start();
  expect_status(client()->ask(call(), "x"), "14", "nothing was done");
}

TEST_F(GrpcWords, WhatMayHaveBeenDoneIsUnknown) {
  serve(a, [](H2Peer& peer, H2Request& request) { peer.reset(request.stream, 8); });
  start();
  expect_status(client()->ask(call(), "x"), "2", "not known");
}

TEST_F(GrpcWords, WhatTookTooLongExceededItsDeadline) {
  listener().upstream_timeout = Millis{200};
  serve(a, [](H2Peer&, H2Request&) {});
  start();
  expect_status(client()->ask(call(), "x"), "4", "in time");
}

TEST_F(GrpcWords, OthersAreToldAsEver) {
  a.kill();
  start();
  EXPECT_EQ(client()->ask(post("/orders"), "x").status, 503);
}

TEST_F(GrpcWords, AnAnswerInTrailersOnlyStaysOne) {
  serve(a, [](H2Peer& peer, H2Request& request) {
    peer.head(request.stream, {{":status", "200"}, {"content-type", "application/grpc"}, {"grpc-status", "5"}});
  });
  start();
  const auto answer = client()->ask(call(), "x");
  EXPECT_EQ(answer.fields.at("grpc-status"), "5");
  EXPECT_TRUE(answer.ended);
  EXPECT_TRUE(answer.trailers.empty());
  EXPECT_FALSE(answer.fields.contains("content-length"));
}

// A subscription: it is answered, and then goes on for ever.
void subscribe_forever(H2Upstream& rig, Backend& backend) {
  rig.serve(backend, [](H2Peer& peer, H2Request& request) {
    const auto id = request.stream;
    peer.head(id, {{":status", "200"}, {"content-type", "application/grpc"}}, false);
    peer.body(id, "event", false);
    peer.read_until([&] { return peer.request(id).reset.has_value(); });
  });
}

TEST_F(GrpcWords, ACallThatLastsIsMovedAtAHold) {
  listener().options["grpc_lasts_after"] = "1ms";
  listener().options["upgrade_close_within"] = "50ms";
  subscribe_forever(*this, a);
  start();
  auto c = client();
  const auto id = c->next_stream();
  c->head(id, call("/watch"));
  ASSERT_TRUE(c->await_frame([&](const Frame&) { return c->answer(id).body == "event"; }));
  const auto ack = hold(1);
  ASSERT_TRUE(ack) << ack.error().what;
  const auto answer = c->await(id);
  EXPECT_EQ(answer.trailers.at("grpc-status"), "14");
  EXPECT_EQ(answer.body, "event");
  EXPECT_EQ(report().in_flight, 0);
}

TEST_F(GrpcWords, AYoungCallIsWaitedFor) {
  listener().options["upgrade_close_within"] = "50ms";
  serve(a, [&](H2Peer& peer, H2Request& request) {
    const auto id = request.stream;
    peer.head(id, {{":status", "200"}, {"content-type", "application/grpc"}}, false);
    peer.body(id, "one ", false);
    a.stall();
    peer.body(id, "two", false);
    peer.head(id, {{"grpc-status", "0"}});
  });
  start();
  auto c = client();
  const auto id = c->next_stream();
  c->head(id, call("/count"));
  ASSERT_TRUE(c->await_frame([&](const Frame&) { return c->answer(id).body == "one "; }));
  // Not complete within the budget: released, and nobody was hurt.
  EXPECT_FALSE(hold(1, {.lease = Millis{2000}, .budget = Millis{300}, .park_max = Millis{2000}}));
  a.release();
  const auto answer = c->await(id);
  EXPECT_EQ(answer.body, "one two");
  EXPECT_EQ(answer.trailers.at("grpc-status"), "0");
}

}  // namespace
}  // namespace foreshadow::kinds::http::testing
