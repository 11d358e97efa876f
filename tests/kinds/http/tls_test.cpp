// TLS between clients and the gateway.
#include <thread>

#include "kinds/http/h2/client.hpp"
#include "kinds/http/http_kind.hpp"
#include "kinds/http/tls_rig.hpp"

namespace foreshadow::kinds::http::testing {
namespace {

using Tls = TlsRig;

std::string large(std::size_t size) {
  std::string body(size, '\0');
  std::uint64_t x = 88172645463325252ULL;
  for (auto& c : body) {
    x ^= x << 13, x ^= x >> 7, x ^= x << 17;
    c = static_cast<char>('a' + x % 26);
  }
  return body;
}

TEST_F(Tls, ServesOneRequestAfterAnotherAndSaysGoodbye) {
  serve_tls();
  start();
  auto [tls, stream] = connect_tls(port, client());
  EXPECT_EQ(tls->version(), "TLSv1.3");
  EXPECT_EQ(tls->peer(), "shop.test");
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(stream.send(kGet));
    const auto answer = read_message(stream);
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->status(), 200);
  }
  ASSERT_TRUE(stream.send(kGetClose));
  ASSERT_TRUE(read_message(stream));
  EXPECT_TRUE(stream.ended());
  EXPECT_EQ(tls->end(), TlsEnd::End::clean);
  EXPECT_EQ(a.requests().front().field("x-forwarded-proto"), "https");
  EXPECT_EQ(a.requests().front().field("x-forwarded-for"), "127.0.0.1");
  EXPECT_EQ(a.connections(), 1U);
}

TEST_F(Tls, AGoodbyeIsAnEndAlsoWhereTheSocketStaysOpen) {
  listener().idle_timeout = Millis{600'000};
  serve_tls();
  start();
  for (const bool with_a_request : {false, true}) {
    auto wish = client();
    wish.stays = true;
    auto [tls, stream] = connect_tls(port, wish);
    // From the second request on the gateway knows without looking that nothing more has come.
    for (int i = 0; i < 3; ++i) {
      ASSERT_TRUE(stream.send(kGet));
      ASSERT_TRUE(read_message(stream));
    }
    tls->gather();
    if (with_a_request) ASSERT_TRUE(stream.send(kGet));
    stream.end_sending();
    if (with_a_request) EXPECT_TRUE(read_message(stream));
    EXPECT_TRUE(stream.ended()) << with_a_request;
    EXPECT_EQ(tls->end(), TlsEnd::End::clean);
  }
}

TEST_F(Tls, SpeaksOnePointTwoAndNothingOlder) {
  serve_tls();
  start();
  auto wish = client();
  wish.only_1_2 = true;
  auto [tls, stream] = connect_tls(port, wish);
  EXPECT_EQ(tls->version(), "TLSv1.2");
  ASSERT_TRUE(stream.send(kGetClose));
  EXPECT_EQ(read_message(stream)->status(), 200);
  EXPECT_TRUE(stream.ended());
  EXPECT_EQ(tls->end(), TlsEnd::End::clean);
}

TEST_F(Tls, PipelinedRequestsInOneRecordAreAllAnswered) {
  serve_tls();
  start();
  auto [tls, stream] = connect_tls(port, client());
  std::string many;
  for (int i = 0; i < 20; ++i) many += kGet;
  ASSERT_TRUE(stream.send(many + kGetClose));
  for (int i = 0; i < 21; ++i) ASSERT_TRUE(read_message(stream)) << i;
  EXPECT_TRUE(stream.ended());
}

TEST_F(Tls, LargeBodiesGoBothWaysWhole) {
  serve_tls();
  a.handle([](const Message& request, Stream&) { return Backend::Reply{ok(request.body)}; });
  start();
  const auto body = large(6 << 20);
  auto [tls, stream] = connect_tls(port, client());
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(stream.send("POST /orders HTTP/1.1\r\nHost: shop\r\nContent-Length: " + std::to_string(body.size()) +
                            "\r\n\r\n" + body));
    const auto answer = read_message(stream);
    ASSERT_TRUE(answer);
    EXPECT_TRUE(answer->body == body);
  }
}

TEST_F(Tls, AnAnswerThatEndsWithTheConnectionEndsWithAGoodbye) {
  serve_tls();
  a.handle([](const Message&, Stream&) { return Backend::Reply{"HTTP/1.1 200 OK\r\n\r\n" + large(300'000), true}; });
  start();
  auto [tls, stream] = connect_tls(port, client());
  ASSERT_TRUE(stream.send("GET /x HTTP/1.0\r\nHost: shop\r\n\r\n"));
  EXPECT_EQ(stream.read_all().substr(0, 15), "HTTP/1.1 200 OK");
  EXPECT_EQ(tls->end(), TlsEnd::End::clean);
}

TEST_F(Tls, AnAnswerThatWasCutEndsWithoutOne) {
  serve_tls();
  a.handle([](const Message&, Stream&) {
    return Backend::Reply{"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf", true};
  });
  start();
  auto [tls, stream] = connect_tls(port, client());
  ASSERT_TRUE(stream.send(kGet));
  stream.read_all();
  EXPECT_EQ(tls->end(), TlsEnd::End::torn);
}

TEST_F(Tls, OffersProtocols) {
  serve_tls();
  start();
  auto wish = client();
  EXPECT_EQ(connect_tls(port, wish).tls->alpn(), "");
  wish.alpn = {"h2", "http/1.1"};
  EXPECT_EQ(connect_tls(port, wish).tls->alpn(), "h2");
  wish.alpn = {"http/1.1"};
  EXPECT_EQ(connect_tls(port, wish).tls->alpn(), "http/1.1");
  wish.alpn = {"h3"};
  EXPECT_EQ(handshake_error(port, wish), "tlsv1 alert no application protocol");
}

TEST_F(Tls, OffersOnlyWhatTheListenerSpeaks) {
  serve_tls();
  listener().options["h2"] = "false";
  start();
  auto wish = client();
  wish.alpn = {"h2", "http/1.1"};
  EXPECT_EQ(connect_tls(port, wish).tls->alpn(), "http/1.1");
  wish.alpn = {"h2"};
  EXPECT_EQ(handshake_error(port, wish), "tlsv1 alert no application protocol");
}

TEST_F(Tls, CarriesHttp2WhereBothWantIt) {
  serve_tls();
  start();
  auto wish = client();
  wish.alpn = {"h2"};
  auto [tls, stream] = connect_tls(port, wish);
  {
    H2Client c(std::move(stream));
    const auto answer = c.ask(post("/orders"), std::string(100'000, 'x'));
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(a.requests().back().field("x-forwarded-proto"), "https");
    EXPECT_EQ(a.requests().back().body.size(), 100'000u);
  }
  // Who chose it and then speaks something else is not served at all.
  auto [other_tls, other] = connect_tls(port, wish);
  ASSERT_TRUE(other.send(kGetClose));
  EXPECT_EQ(other.read_all(), "");
  EXPECT_EQ(other_tls->end(), TlsEnd::End::clean);
  EXPECT_EQ(a.count(), 1u);
}

TEST_F(Tls, EndsHttp2AsTlsShouldEnd) {
  serve_tls();
  start();
  auto wish = client();
  wish.alpn = {"h2"};
  auto [tls, stream] = connect_tls(port, wish);
  H2Client c(std::move(stream));
  EXPECT_EQ(c.ask(testing::get("/x")).status, 200);
  std::thread stopper([&] { gateway.reset(); });
  EXPECT_TRUE(c.await_goaway());
  EXPECT_TRUE(c.raw().ended());
  EXPECT_EQ(tls->end(), TlsEnd::End::clean);
  stopper.join();
}

TEST_F(Tls, ChoosesTheCertificateByServerName) {
  const auto other = authority.issue({"other.test"});
  const auto wild = authority.issue({"*.wild.test"});
  listener().tls.certificates = {save("shop", shop), save("other", other), save("wild", wild)};
  start();
  EXPECT_EQ(connect_tls(port, client("shop.test")).tls->peer(), "shop.test");
  EXPECT_EQ(connect_tls(port, client("other.test")).tls->peer(), "other.test");
  EXPECT_EQ(connect_tls(port, client("OTHER.test")).tls->peer(), "other.test");
  EXPECT_EQ(connect_tls(port, client("a.wild.test")).tls->peer(), "*.wild.test");
  auto unchecked = client("b.a.wild.test");
  unchecked.trusts = nullptr;
  EXPECT_EQ(connect_tls(port, unchecked).tls->peer(), "shop.test") << "a wildcard stands for one label";
  unchecked.server_name = "";
  EXPECT_EQ(connect_tls(port, unchecked).tls->peer(), "shop.test");
}

TEST_F(Tls, ResumesSessions) {
  serve_tls();
  start();
  auto first = connect_tls(port, client());
  ASSERT_TRUE(first.stream.send(kGetClose));
  ASSERT_TRUE(read_message(first.stream));
  ASSERT_TRUE(first.stream.ended());
  auto second = connect_tls(port, client(), first.tls->session());
  EXPECT_TRUE(second.tls->resumed());
  ASSERT_TRUE(second.stream.send(kGetClose));
  EXPECT_EQ(read_message(second.stream)->status(), 200);
}

TEST_F(Tls, RequiresClientCertificates) {
  serve_tls();
  listener().tls.client_certificates = io::ClientCertificates::require;
  listener().tls.client_ca_file = save("clients.pem", authority);
  start();
  EXPECT_EQ(handshake_error(port, client()), "tlsv13 alert certificate required");
  const auto strange = stranger.issue({"mallory"});
  auto wish = client();
  wish.is = &strange;
  EXPECT_EQ(handshake_error(port, wish), "tlsv1 alert unknown ca");
  const auto late = authority.issue({"alice"}, -60);
  wish.is = &late;
  EXPECT_EQ(handshake_error(port, wish), "sslv3 alert certificate expired");
  EXPECT_EQ(a.count(), 0U);
  const auto good = authority.issue({"alice"});
  wish.is = &good;
  EXPECT_EQ(handshake_error(port, wish), "");
  wish.only_1_2 = true;
  EXPECT_EQ(handshake_error(port, wish), "");
}

TEST_F(Tls, RequestedClientCertificatesMayBeAbsentButNotWrong) {
  serve_tls();
  listener().tls.client_certificates = io::ClientCertificates::request;
  listener().tls.client_ca_file = save("clients.pem", authority);
  start();
  EXPECT_EQ(handshake_error(port, client()), "");
  const auto strange = stranger.issue({"mallory"});
  auto wish = client();
  wish.is = &strange;
  EXPECT_EQ(handshake_error(port, wish), "tlsv1 alert unknown ca");
}

TEST_F(Tls, PlainHttpIsToldThatThisPortSpeaksTls) {
  serve_tls();
  start();
  auto stream = connect();
  ASSERT_TRUE(stream.send(kGet));
  const auto answer = read_message(stream);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status(), 400);
  EXPECT_NE(answer->body.find("https://"), std::string::npos);
  EXPECT_TRUE(stream.ended());
  EXPECT_EQ(a.count(), 0U);
}

TEST_F(Tls, BytesThatAreNeitherEndTheirOwnConnectionOnly) {
  serve_tls();
  start();
  auto [tls, good] = connect_tls(port, client());
  for (const auto& bytes : {std::string(100, '\xff'), std::string("\x16\x03\x01\xff\xff") + std::string(70'000, 'x'),
                            std::string("\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00", 10), std::string(1, '\0')}) {
    auto stream = connect();
    stream.send(bytes);
    stream.end_sending();
    stream.read_all();
  }
  ASSERT_TRUE(good.send(kGetClose));
  EXPECT_EQ(read_message(good)->status(), 200);
  EXPECT_EQ(a.count(), 1U);
}

TEST_F(Tls, WhoStallsInTheHandshakeIsCutOff) {
  serve_tls();
  listener().header_timeout = Millis{150};
  start();
  auto silent = connect();
  auto begun = connect();
  ASSERT_TRUE(begun.send(std::string_view("\x16\x03\x01\x02\x00\x01\x00", 7)));
  EXPECT_TRUE(silent.ended());
  EXPECT_TRUE(begun.ended());
  EXPECT_EQ(connect_tls(port, client()).tls->peer(), "shop.test");
}

TEST_F(Tls, AnIdleConnectionAtTheEndOfItsTimeGetsAGoodbye) {
  serve_tls();
  listener().idle_timeout = Millis{100};
  start();
  auto [tls, stream] = connect_tls(port, client());
  EXPECT_TRUE(stream.ended());
  EXPECT_EQ(tls->end(), TlsEnd::End::clean);
}

TEST_F(Tls, NewFilesServeNewConnectionsWhileOldOnesGoOn) {
  serve_tls();
  start();
  auto old = connect_tls(port, client());
  ASSERT_TRUE(old.stream.send(kGet));
  ASSERT_TRUE(read_message(old.stream));
  shop = authority.issue({"renewed.test", "shop.test"});
  save("shop", shop);
  EXPECT_TRUE(eventually([&] { return connect_tls(port, client()).tls->peer() == "renewed.test"; }));
  ASSERT_TRUE(old.stream.send(kGet));
  EXPECT_EQ(read_message(old.stream)->status(), 200);
}

TEST_F(Tls, ABrokenNewFileChangesNothing) {
  serve_tls();
  start();
  write(dir / "shop.pem", "-----BEGIN CERTIFICATE-----\nrubbish\n");
  // A key that is not the certificate's would be as bad.
  const auto renewed = authority.issue({"renewed.test", "shop.test"});
  write(dir / "shop.key", renewed.key);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(connect_tls(port, client()).tls->peer(), "shop.test");
  write(dir / "shop.pem", renewed.certificate);
  EXPECT_TRUE(eventually([&] { return connect_tls(port, client()).tls->peer() == "renewed.test"; }));
}

TEST_F(Tls, TicketsDoNotOutliveTheRulesTheyWereGivenUnder) {
  serve_tls();
  start();
  auto first = connect_tls(port, client());
  ASSERT_TRUE(first.stream.send(kGet));
  ASSERT_TRUE(read_message(first.stream));
  save("shop", shop = authority.issue({"renewed.test", "shop.test"}));
  ASSERT_TRUE(eventually([&] { return connect_tls(port, client()).tls->peer() == "renewed.test"; }));
  EXPECT_FALSE(connect_tls(port, client(), first.tls->session()).tls->resumed());
}

TEST_F(Tls, AListenerWithoutGoodFilesDoesNotStart) {
  serve_tls();
  write(dir / "shop.key", authority.issue({"shop.test"}).key);
  const auto kind = make_http_kind();
  EXPECT_FALSE(proxy::Gateway::start(settings, [&](const proxy::ListenerSettings& l, boost::asio::any_io_executor e) {
    return Result<std::unique_ptr<proxy::Protocol>>(kind->protocol(l, std::move(e)));
  }));
}

}  // namespace
}  // namespace foreshadow::kinds::http::testing
