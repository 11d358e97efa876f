// TLS between the gateway and instances.
#include "kinds/http/tls_rig.hpp"

namespace foreshadow::kinds::http::testing {
namespace {

struct UpstreamTls : TlsRig {
  Issued issued = authority.issue({"a.test", "127.0.0.1"});
  TlsWish wish{.is = &issued};
  std::unique_ptr<TlsDoor> door, door_b;

  void speak_tls() {
    door = std::make_unique<TlsDoor>(wish);
    door_b = std::make_unique<TlsDoor>(wish);
    a.handle_arrivals([this](int fd) { return door->open(fd); });
    b.handle_arrivals([this](int fd) { return door_b->open(fd); });
    listener().options["upstream_tls"] = "verify";
    listener().options["upstream_ca_file"] = save("upstream-ca.pem", authority);
    listener().tls_check_interval = Millis{20};
  }
};

TEST_F(UpstreamTls, ConnectionsAreReusedAndBodiesWhole) {
  speak_tls();
  a.handle([](const Message& request, Stream&) { return Backend::Reply{ok(request.body)}; });
  start();
  const std::string body(3 << 20, 'x');
  auto stream = connect();
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(stream.send("POST /orders HTTP/1.1\r\nHost: shop\r\nContent-Length: " + std::to_string(body.size()) +
                            "\r\n\r\n" + body));
    const auto answer = read_message(stream);
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->status(), 200) << answer->body;
    EXPECT_TRUE(answer->body == body);
  }
  EXPECT_EQ(a.connections(), 1U);
}

TEST_F(UpstreamTls, BothSidesUnderTls) {
  speak_tls();
  serve_tls();
  a.handle([](const Message& request, Stream&) { return Backend::Reply{ok(request.body)}; });
  start();
  const std::string body(5 << 20, 'y');
  auto [tls, stream] = connect_tls(port, client());
  ASSERT_TRUE(stream.send("POST /orders HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: chunked\r\n\r\n500000\r\n" + body +
                          "\r\n0\r\n\r\n"));
  const auto answer = read_message(stream);
  ASSERT_TRUE(answer);
  EXPECT_TRUE(answer->body == body);
}

TEST_F(UpstreamTls, AnAddressIsCheckedAsOneAndNeverAskedForByName) {
  speak_tls();
  start();
  ASSERT_EQ(get("/x")->status(), 200);
  EXPECT_EQ(door->asked(), std::vector<std::string>{""});
}

TEST_F(UpstreamTls, TheServerNameIsAskedForAndChecked) {
  speak_tls();
  listener().options["upstream_server_name"] = "a.test";
  start();
  ASSERT_EQ(get("/x")->status(), 200);
  EXPECT_EQ(door->asked(), std::vector<std::string>{"a.test"});
}

TEST_F(UpstreamTls, AnInstancesOwnNameOutranksTheListeners) {
  speak_tls();
  listener().options["upstream_server_name"] = "wrong.test";
  listener().primary.attributes["tls_server_name"] = "a.test";
  start();
  ASSERT_EQ(get("/x")->status(), 200);
  EXPECT_EQ(door->asked(), std::vector<std::string>{"a.test"});
}

void expect_honest_refusal(const std::optional<Message>& answer, const Backend& backend) {
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status(), 503);
  EXPECT_NE(answer->body.find("nothing was sent to it"), std::string::npos) << answer->body;
  EXPECT_EQ(answer->body.find("certificate"), std::string::npos) << "particulars are for our log: " << answer->body;
  EXPECT_EQ(backend.count(), 0U);
}

TEST_F(UpstreamTls, AStrangersCertificateIsRefusedBeforeAnythingIsSent) {
  issued = stranger.issue({"127.0.0.1"});
  speak_tls();
  start();
  expect_honest_refusal(get("/secret"), a);
}

TEST_F(UpstreamTls, AnotherServersCertificateIsRefused) {
  issued = authority.issue({"other.test"});
  speak_tls();
  start();
  expect_honest_refusal(get("/secret"), a);
}

TEST_F(UpstreamTls, AnExpiredCertificateIsRefused) {
  issued = authority.issue({"127.0.0.1"}, -60);
  speak_tls();
  start();
  expect_honest_refusal(get("/secret"), a);
}

TEST_F(UpstreamTls, AnEmptyNameIsNoWayAroundTheCheck) {
  speak_tls();
  listener().primary.attributes["tls_server_name"] = "";
  start();
  expect_honest_refusal(get("/secret"), a);
}

TEST_F(UpstreamTls, AnInstanceThatSpeaksPlainIsRefused) {
  speak_tls();
  a.handle_arrivals(nullptr);
  a.handle_connections([](Stream& stream) { stream.send("220 mail.test ESMTP\r\n"); });
  start();
  expect_honest_refusal(get("/secret"), a);
}

TEST_F(UpstreamTls, InsecureMustBeSaidAndThenTakesAnything) {
  issued = stranger.issue({"other.test"});
  speak_tls();
  listener().options["upstream_tls"] = "insecure";
  listener().options.erase("upstream_ca_file");
  start();
  EXPECT_EQ(get("/x")->status(), 200);
}

TEST_F(UpstreamTls, AnAnswerCutWithoutAGoodbyeIsBroken) {
  wish.goodbye = false;
  speak_tls();
  a.handle([](const Message&, Stream&) { return Backend::Reply{"HTTP/1.1 200 OK\r\n\r\nhalf of it", true}; });
  start();
  auto stream = connect();
  ASSERT_TRUE(stream.send(kGet));
  bool reset = false;
  const auto bytes = stream.read_all(&reset);
  EXPECT_EQ(bytes.find("0\r\n\r\n"), std::string::npos) << bytes;
  EXPECT_TRUE(reset);
}

TEST_F(UpstreamTls, TheSameAnswerWithAGoodbyeIsWhole) {
  speak_tls();
  a.handle([](const Message&, Stream&) { return Backend::Reply{"HTTP/1.1 200 OK\r\n\r\nall of it", true}; });
  start();
  const auto answer = get("/x");
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->body, "all of it");
}

TEST_F(UpstreamTls, TheNextConnectionResumesTheSession) {
  speak_tls();
  a.handle([](const Message&, Stream&) { return Backend::Reply{ok("x", "Connection: close\r\n"), true}; });
  start();
  for (int i = 0; i < 3; ++i) ASSERT_EQ(get("/x")->status(), 200);
  EXPECT_EQ(a.connections(), 3U);
  EXPECT_EQ(door->resumed(), 2U);
}

TEST_F(UpstreamTls, OurOwnCertificateIsShown) {
  wish.wants_client = true;
  wish.trusts = &authority;
  speak_tls();
  const auto files = save("gateway", authority.issue({"gateway.test"}));
  listener().options["upstream_certificate_file"] = files.certificate_file;
  listener().options["upstream_key_file"] = files.key_file;
  start();
  ASSERT_EQ(get("/x")->status(), 200);
  EXPECT_EQ(door->clients(), std::vector<std::string>{"gateway.test"});
}

TEST_F(UpstreamTls, ANewAuthorityIsTrustedFromThenOn) {
  issued = stranger.issue({"127.0.0.1"});
  speak_tls();
  start();
  ASSERT_EQ(get("/x")->status(), 503);
  write(dir / "upstream-ca.pem", stranger.pem());
  EXPECT_TRUE(eventually([&] { return get("/x")->status() == 200; }));
}

TEST_F(UpstreamTls, CopiesGoToTheShadowUnderTlsToo) {
  speak_tls();
  start();
  apply(split(0, 1));
  ASSERT_EQ(get("/x")->status(), 200);
  EXPECT_TRUE(eventually([&] { return b.count() == 1; }));
  EXPECT_EQ(b.requests().front().field("foreshadow-mirror"), "1");
  EXPECT_EQ(door_b->asked().size(), 1U);
}

TEST_F(UpstreamTls, AShadowThatIsNotTrustedCostsThePrimaryNothing) {
  speak_tls();
  b.handle_arrivals(nullptr);
  start();
  apply(split(0, 1));
  for (int i = 0; i < 5; ++i) EXPECT_EQ(get("/x")->status(), 200);
  EXPECT_TRUE(eventually([&] { return segment("browse").mirror.errors >= 1; }));
  EXPECT_EQ(b.count(), 0U);
}

}  // namespace
}  // namespace foreshadow::kinds::http::testing
