// Which version of HTTP an instance is spoken to in: options, and what ALPN chooses.
#include "kinds/http/h2client/service.hpp"
#include "kinds/http/options.hpp"
#include "kinds/http/tls_rig.hpp"

namespace foreshadow::kinds::http::testing {
namespace {

TEST(UpstreamHttp, OptionsAreReadAndChecked) {
  const auto parsed = parse_options({{"upstream_http", "h2"},
                                     {"upstream_h2_streams_max", "7"},
                                     {"upstream_h2_stream_window", "1MiB"},
                                     {"upstream_h2_ping_interval", "30s"}});
  ASSERT_TRUE(parsed) << parsed.error().what;
  EXPECT_EQ(parsed->upstream_h2.speak, h2client::Speak::h2);
  EXPECT_EQ(parsed->upstream_h2.streams_max, 7U);
  EXPECT_EQ(parsed->upstream_h2.stream_window, 1U << 20);
  EXPECT_EQ(parsed->upstream_h2.ping_interval, Millis{30'000});
  EXPECT_EQ(parse_options({})->upstream_h2.speak, h2client::Speak::http1);
  EXPECT_EQ(parse_options({{"upstream_http", "http2"}}).error().what,
            "option upstream_http: 'http2' must be http1, h2 or auto");
  EXPECT_EQ(parse_options({{"upstream_http", "h2"}, {"upstream_h2_stream_window", "1KiB"}}).error().what,
            "option upstream_h2_stream_window: '1KiB' must lie between 65535 and 16777216");
  EXPECT_EQ(parse_options({{"upstream_h2_streams_max", "7"}}).error().what,
            "option upstream_h2_streams_max: there is no HTTP/2 to use it for; add upstream_http: h2, or auto");
}

struct UpstreamAlpn : TlsRig {
  Issued issued = authority.issue({"a.test", "127.0.0.1"});
  std::unique_ptr<TlsDoor> door;

  void speak(const std::string& http, std::vector<std::string> alpn) {
    door = std::make_unique<TlsDoor>(TlsWish{.is = &issued, .alpn = std::move(alpn)});
    a.handle_arrivals([this](int fd) { return door->open(fd); });
    listener().options["upstream_tls"] = "verify";
    listener().options["upstream_ca_file"] = save("upstream-ca.pem", authority);
    listener().options["upstream_http"] = http;
  }
  void serve_h2() {
    a.handle_connections([](Stream& stream) {
      H2Peer peer(stream);
      while (auto* request = peer.next())
        peer.answer(request->stream, "h2 " + request->fields.at(":scheme") + " " + request->body);
    });
  }
};

TEST_F(UpstreamAlpn, Http2IsSpokenUnderTls) {
  speak("h2", {"h2", "http/1.1"});
  serve_h2();
  start();
  auto stream = connect();
  for (int i = 0; i < 3; ++i) {
    stream.send("POST /orders HTTP/1.1\r\nHost: shop\r\nContent-Length: 1\r\n\r\nx");
    EXPECT_EQ(read_message(stream).value_or(Message{}).body, "h2 https x");
  }
  EXPECT_EQ(a.connections(), 1U);
}

TEST_F(UpstreamAlpn, WhereItMayBeEitherTheInstanceChooses) {
  speak("auto", {"h2", "http/1.1"});
  serve_h2();
  start();
  EXPECT_EQ(get("/")->body, "h2 https ");
  EXPECT_EQ(get("/")->body, "h2 https ");
  EXPECT_EQ(a.connections(), 1U);
}

TEST_F(UpstreamAlpn, AndHttp1IsSpokenWhereItChoosesThat) {
  speak("auto", {"http/1.1"});
  start();
  auto stream = connect();
  for (int i = 0; i < 5; ++i) {
    stream.send(kGet);
    EXPECT_EQ(read_message(stream).value_or(Message{}).body, "a /x");
  }
  EXPECT_EQ(a.connections(), 1U) << "the connection that found it out is used";
  EXPECT_EQ(a.requests().at(0).start, "GET /x HTTP/1.1");
}

TEST_F(UpstreamAlpn, AnInstanceThatMustAndDoesNotGetsNothing) {
  speak("h2", {"http/1.1"});
  start();
  const auto answer = get("/");
  EXPECT_EQ(answer->status(), 503);
  EXPECT_EQ(a.count(), 0U);
}

TEST_F(UpstreamAlpn, AnUpgradeGoesOverHttp1WhereBothAreSpoken) {
  speak("auto", {"h2", "http/1.1"});
  std::atomic<int> http1 = 0;
  a.handle_connections([&](Stream& stream) {
    // One of the two begins with a preface.
    const auto line = stream.read_until("\r\n");
    if (line && line->starts_with("GET ")) ++http1;
    stream.read_until("\r\n\r\n");
    stream.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\nhello");
    stream.read_all();
  });
  start();
  auto stream = connect();
  stream.send("GET /chat HTTP/1.1\r\nHost: shop\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n");
  EXPECT_TRUE(stream.read_until("hello"));
  EXPECT_EQ(http1, 1);
}

}  // namespace
}  // namespace foreshadow::kinds::http::testing
