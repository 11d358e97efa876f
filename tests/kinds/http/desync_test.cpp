// What of hostile, odd and broken requests reaches a service: of a refused one not one byte, of an odd one that the
// RFCs allow one plain form, and of one that turns out broken midway never an end.
#include "kinds/http/hostile_more.hpp"
#include "kinds/http/rig.hpp"
#include "kinds/http/witness.hpp"

namespace foreshadow::kinds::http {
namespace {

using namespace testing;

struct Desync : Rig {
  Witness witness{a};
  // Cuts the connections to the service, so that nothing can come any more, and says what did come since.
  std::string received_to_the_end() {
    gateway.reset();
    EXPECT_TRUE(eventually([&] { return a.open() == 0; }));
    return witness.received();
  }
  // The service has this head, payload of 'y' that came before the fault, and no end of it.
  void expect_no_end(const std::string& head) const {
    const auto received = witness.received();
    ASSERT_TRUE(received.starts_with(head)) << received.substr(0, 300);
    EXPECT_EQ(witness_request(received).state, Witnessed::State::more);
    EXPECT_EQ(received.find_first_not_of("y0123456789abcdef\r\n", head.size()), std::string::npos);
    EXPECT_EQ(received.find("\r\n0\r\n"), std::string::npos);
  }
};

const std::string kSmuggled = "GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n";

void expect_refusal(Stream& client, const Hostile& row) {
  const auto answer = read_message(client);
  ASSERT_TRUE(answer) << row.name;
  EXPECT_EQ(answer->status(), row.status) << row.name << ": " << answer->body;
  EXPECT_EQ(answer->field("connection"), "close") << row.name;
  EXPECT_TRUE(client.ended()) << row.name << ": nothing behind it is a request";
}

TEST_F(Desync, OfARefusedRequestNothingReachesTheService) {
  start();
  for (const auto& row : all_hostile_requests()) {
    auto client = connect();
    ASSERT_TRUE(client.send(row.bytes + kSmuggled));
    expect_refusal(client, row);
    EXPECT_EQ(witness.received(), "") << row.name;
    witness.forget();
  }
  EXPECT_EQ(a.connections(), 0u);
  EXPECT_EQ(get("/still-here")->status(), 200);
  const auto end = received_to_the_end();
  EXPECT_TRUE(end.starts_with("GET /still-here HTTP/1.1\r\n")) << end;
  EXPECT_EQ(end.find("/smuggled"), std::string::npos);
}

TEST_F(Desync, ARefusedRequestBehindAGoodOneSpoilsNothing) {
  start();
  const auto first = forwarded("GET /first");
  std::string expected;
  for (const auto& row : all_hostile_requests()) {
    auto client = connect();
    ASSERT_TRUE(client.send("GET /first HTTP/1.1\r\nHost: h\r\n\r\n" + row.bytes + kSmuggled));
    const auto good = read_message(client);
    ASSERT_TRUE(good) << row.name;
    EXPECT_EQ(good->body, first) << row.name;
    expect_refusal(client, row);
    expected += first;
  }
  EXPECT_TRUE(received_to_the_end() == expected) << "more or less than the answers showed";
  EXPECT_TRUE(witness.faults().empty()) << witness.faults().front();
}

struct Allowed {
  std::string name;
  std::string bytes;
  std::string forwarded;
  bool closes = false;  // the client asked for it
};

// What a lenient sender may send (or a strict one rarely does), and the one form in which a service sees it.
std::vector<Allowed> allowed_requests() {
  const std::string get = "GET / HTTP/1.1\r\nHost: h\r\n", post = "POST /o HTTP/1.1\r\nHost: h\r\n";
  const std::string chunked = post + "Transfer-Encoding: chunked\r\n\r\n";
  const auto bare = forwarded("GET /");
  const auto abc = forwarded("POST /o", "", "Content-Length: 3\r\n", "abc");
  const auto with_host = [](const std::string& host) {
    return Allowed{"Host " + host, "GET / HTTP/1.1\r\nHost: " + host + "\r\n\r\n",
                   forwarded("GET /", "", "", "", host)};
  };
  const auto as = [](const std::string& start) { return start + " HTTP/1.1\r\nHost: h\r\n\r\n"; };
  return {
      {"one empty line before it", "\r\n" + get + "\r\n", bare},
      {"Host without a space", "GET / HTTP/1.1\r\nHost:h\r\n\r\n", bare},
      {"Host with much space", "GET / HTTP/1.1\r\nhOST: \t h \t\r\n\r\n", bare},
      with_host("h:80"),
      with_host("h:"),
      with_host("[::1]"),
      with_host("[2001:db8::1]:8080"),
      with_host("a-b_c~d.e%41"),
      with_host("a,b"),
      with_host(""),
      {"absolute target", as("GET http://h/a?b"), forwarded("GET /a?b")},
      {"absolute target in capitals", as("GET HTTP://H/"), bare},
      {"absolute target without a path", as("GET http://h"), bare},
      {"absolute target of OPTIONS", as("OPTIONS http://h"), forwarded("OPTIONS *")},
      {"asterisk", as("OPTIONS *"), forwarded("OPTIONS *")},
      {"two slashes", as("GET //evil/a"), forwarded("GET //evil/a")},
      {"dots", as("GET /a/../b"), forwarded("GET /a/../b")},
      {"escaped line end", as("GET /a%0d%0aB:%20c"), forwarded("GET /a%0d%0aB:%20c")},
      {"characters beyond RFC 3986", as("GET /a|\"{}<>^`\\"), forwarded("GET /a|\"{}<>^`\\")},
      {"unknown method", as("BREW /"), forwarded("BREW /")},
      {"method in lower case", as("get /"), forwarded("get /")},
      {"method of odd characters", as("M-SEARCH!#$ /"), forwarded("M-SEARCH!#$ /")},
      {"later minor version", "GET / HTTP/1.9\r\nHost: h\r\n\r\n", bare},
      {"HTTP/1.0", "GET / HTTP/1.0\r\nHost: h\r\n\r\n", bare, true},
      {"HTTP/1.0 kept alive", "GET / HTTP/1.0\r\nHost: h\r\nConnection: Keep-Alive\r\n\r\n", bare},
      {"HTTP/1.0 with a length", "POST /o HTTP/1.0\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc", abc, true},
      {"HTTP/1.0 expects nothing",
       "POST /o HTTP/1.0\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc", abc, true},
      {"close", get + "Connection: close\r\n\r\n", bare, true},
      {"close in a list", get + "Connection: x, ,Close\r\nX: gone\r\n\r\n", bare, true},
      {"fields in their order", get + "B: 1\r\na: 2\r\nB: 3\r\n\r\n", forwarded("GET /", "B: 1\r\na: 2\r\nB: 3\r\n")},
      {"empty value", get + "A:\r\nB: \t\r\n\r\n", forwarded("GET /", "A: \r\nB: \r\n")},
      {"value beyond ASCII", get + "A: \xc3\xa9\xff\r\n\r\n", forwarded("GET /", "A: \xc3\xa9\xff\r\n")},
      {"value with colons", get + "A::b: c\r\n\r\n", forwarded("GET /", "A: :b: c\r\n")},
      {"name of odd characters", get + "!#$%&'*+-.^_`|~: a\r\n\r\n", forwarded("GET /", "!#$%&'*+-.^_`|~: a\r\n")},
      {"length 0", get + "Content-Length: 0\r\n\r\n", forwarded("GET /", "", "Content-Length: 0\r\n")},
      {"length of many zeros", post + "Content-Length: 0000000000000000000000003\r\n\r\nabc", abc},
      {"length without a space", post + "cONTENT-lENGTH:3\r\n\r\nabc", abc},
      {"GET with a body", get + "Content-Length: 3\r\n\r\nabc", forwarded("GET /", "", "Content-Length: 3\r\n", "abc")},
      {"TRACE with a body", "TRACE / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc",
       forwarded("TRACE /", "", "Content-Length: 3\r\n", "abc")},
      {"a request as a body", post + "Content-Length: " + std::to_string(kSmuggled.size()) + "\r\n\r\n" + kSmuggled,
       forwarded("POST /o", "", "Content-Length: " + std::to_string(kSmuggled.size()) + "\r\n", kSmuggled)},
      {"chunks", chunked + "1\r\na\r\n2\r\nbc\r\n0\r\n\r\n", abc},
      {"chunks, in capitals", post + "TRANSFER-ENCODING:CHUNKED\r\n\r\n3\r\nabc\r\n0\r\n\r\n", abc},
      {"chunk sizes with zeros", chunked + "0003\r\nabc\r\n0000\r\n\r\n", abc},
      {"chunk size in capitals", chunked + "A\r\n0123456789\r\n0\r\n\r\n",
       forwarded("POST /o", "", "Content-Length: 10\r\n", "0123456789")},
      {"chunk extensions", chunked + "3;a;b=c; d = \"e\\\"f\"\r\nabc\r\n0;g\r\n\r\n", abc},
      {"chunk extension behind space", chunked + "3 \t;a\r\nabc\r\n0\r\n\r\n", abc},
      {"no chunk", chunked + "0\r\n\r\n", forwarded("POST /o", "", "Content-Length: 0\r\n")},
      {"a request in a chunk", chunked + "23\r\n" + kSmuggled + "\r\n0\r\n\r\n",
       forwarded("POST /o", "", "Content-Length: 35\r\n", kSmuggled)},
      {"trailers", chunked + "3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n",
       forwarded("POST /o", "", "Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n")},
      {"fields for this hop",
       get + "Connection: mine, keep-alive\r\nMine: 1\r\nKeep-Alive: 5\r\nProxy-Connection: x\r\nTE: trailers\r\n\r\n",
       bare},
      {"framing called a field for this hop", post + "Connection: content-length, host\r\nContent-Length: 3\r\n\r\nabc",
       abc},
      {"coding called a field for this hop",
       post + "Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", abc},
      {"an offer of HTTP/2", get + "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n\r\n",
       bare},
      {"an upgrade that is not for this hop", get + "Upgrade: websocket\r\n\r\n", bare},
      {"our mark", get + "Foreshadow-Mirror: 1\r\n\r\n", bare},
      {"a body that is here needs no 100", post + "Expect: 100-Continue\r\nContent-Length: 3\r\n\r\nabc", abc},
      {"an expectation without a body", get + "Expect: 100-continue\r\n\r\n", bare},
  };
}

TEST_F(Desync, AnOddRequestReachesTheServiceInOnePlainForm) {
  start();
  std::string expected;
  const auto after = forwarded("GET /after");
  for (const auto& row : allowed_requests()) {
    auto client = connect();
    ASSERT_TRUE(client.send(row.bytes + "GET /after HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"));
    const auto answer = read_message(client);
    ASSERT_TRUE(answer) << row.name;
    EXPECT_EQ(answer->status(), 200) << row.name << ": " << answer->body;
    EXPECT_EQ(answer->body, row.forwarded) << row.name;
    expected += row.forwarded;
    if (!row.closes) {
      const auto next = read_message(client);
      ASSERT_TRUE(next) << row.name;
      EXPECT_EQ(next->body, after) << row.name;
      expected += after;
    }
    EXPECT_TRUE(client.ended()) << row.name;
  }
  EXPECT_TRUE(received_to_the_end() == expected) << "more or less than the answers showed";
  EXPECT_TRUE(witness.faults().empty()) << witness.faults().front();
}

// A body too large to be read ahead is on its way to the service when it turns out to be broken.
TEST_F(Desync, ABodyThatBreaksMidwayNeverEndsForTheService) {
  start();
  const std::string head = "POST /orders HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
  std::string large = head;
  for (int i = 0; i < 10; ++i) large += "2710\r\n" + std::string(10'000, 'y') + "\r\n";
  const auto sent_head = forwarded("POST /orders", "", "Transfer-Encoding: chunked\r\n");
  std::size_t connections = 0;
  for (auto row : hostile_chunks()) {
    row.bytes.erase(0, row.bytes.find("\r\n\r\n") + 4);
    {
      auto client = connect();
      ASSERT_TRUE(client.send(large + row.bytes + kSmuggled));
      expect_refusal(client, row);
    }
    ++connections;
    ASSERT_TRUE(eventually([&] { return a.connections() == connections && a.open() == 0; }))
        << row.name << ": its connection is never used again";
    expect_no_end(sent_head);
    witness.forget();
  }
}

TEST_F(Desync, ABodyThatBreaksOffNeverEndsForTheService) {
  start();
  for (const auto* framing : {"Content-Length: 200000\r\n", "Transfer-Encoding: chunked\r\n"}) {
    auto client = connect();
    const std::string size = framing[0] == 'T' ? "1d4c0\r\n" : "";
    ASSERT_TRUE(client.send(std::string("POST /orders HTTP/1.1\r\nHost: h\r\n") + framing + "\r\n" + size +
                            std::string(120'000, 'y')));
    ASSERT_TRUE(eventually([&] { return witness.received().size() > 64 << 10; }));
    client.reset();
    ASSERT_TRUE(eventually([&] { return a.open() == 0; }));
    expect_no_end(forwarded("POST /orders", "", framing));
    witness.forget();
  }
}

}  // namespace
}  // namespace foreshadow::kinds::http
