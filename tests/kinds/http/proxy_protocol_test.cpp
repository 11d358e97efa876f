// A balancer before the gateway tells who its clients are.
#include <unistd.h>

#include "kinds/http/tls_rig.hpp"

namespace foreshadow::kinds::http::testing {
namespace {

struct ProxyProtocol : TlsRig {
  ProxyProtocol() {
    listener().proxy_protocol = true;
    listener().header_timeout = Millis{5000};
  }
};

// From 192.0.2.`last`:50000.
std::string header(int last, const std::string& tlvs = "") {
  return std::string("\r\n\r\n\0\r\nQUIT\n\x21\x11\0", 15) + static_cast<char>(12 + tlvs.size()) +
         std::string("\xc0\x00\x02", 3) + static_cast<char>(last) + std::string("\xc6\x33\x64\x01\xc3\x50\x01\xbb", 8) +
         tlvs;
}

TEST_F(ProxyProtocol, TheClientItTellsIsPassedOn) {
  start();
  auto stream = connect();
  ASSERT_TRUE(stream.send(header(7, std::string("\x04\x00\x02??", 5)) + kGet + kGetClose));
  ASSERT_EQ(read_message(stream)->status(), 200);
  ASSERT_EQ(read_message(stream)->status(), 200);
  for (const auto& request : a.requests()) EXPECT_EQ(request.field("x-forwarded-for"), "192.0.2.7");
}

TEST_F(ProxyProtocol, AHeaderThatComesByteByByteIsRead) {
  start();
  auto stream = connect();
  for (const char c : header(9)) ASSERT_TRUE(stream.send({&c, 1}));
  ASSERT_TRUE(stream.send(kGetClose));
  ASSERT_EQ(read_message(stream)->status(), 200);
  EXPECT_EQ(a.requests().front().field("x-forwarded-for"), "192.0.2.9");
}

TEST_F(ProxyProtocol, IPv6IsToldToo) {
  start();
  auto stream = connect();
  ASSERT_TRUE(stream.send(std::string("\r\n\r\n\0\r\nQUIT\n\x21\x21\0\x24", 16) + std::string("\x20\x01\x0d\xb8", 4) +
                          std::string(11, '\0') + "\x01" + std::string(16, '\x11') +
                          std::string("\xc3\x50\x01\xbb", 4) + kGetClose));
  ASSERT_EQ(read_message(stream)->status(), 200);
  EXPECT_EQ(a.requests().front().field("x-forwarded-for"), "2001:db8::1");
}

TEST_F(ProxyProtocol, TheBalancersOwnConnectionKeepsItsAddress) {
  start();
  auto stream = connect();
  ASSERT_TRUE(stream.send(std::string("\r\n\r\n\0\r\nQUIT\n\x20\x00\0\0", 16) + kGetClose));
  ASSERT_EQ(read_message(stream)->status(), 200);
  EXPECT_EQ(a.requests().front().field("x-forwarded-for"), "127.0.0.1");
}

// The point of a client decides its side: with half of the weight moved, every client stays where its address puts it,
// whichever of the balancer's connections it comes over.
TEST_F(ProxyProtocol, StickinessFollowsTheClientNotTheBalancer) {
  start();
  apply(split(0.5, 0));
  std::map<std::string, int> sides;
  for (int client = 1; client <= 20; ++client) {
    std::string first;
    for (int again = 0; again < 3; ++again) {
      auto stream = connect();
      ASSERT_TRUE(stream.send(header(client) + kGetClose));
      const auto answer = read_message(stream);
      ASSERT_TRUE(answer);
      if (first.empty()) ++sides[first = answer->body.substr(0, 1)];
      EXPECT_EQ(answer->body.substr(0, 1), first) << client;
    }
  }
  EXPECT_EQ(sides.size(), 2U) << "both sides have clients";
}

TEST_F(ProxyProtocol, WhoeverComesWithoutAGoodHeaderIsDropped) {
  listener().header_timeout = Millis{200};
  start();
  auto too_long = header(7);
  too_long[14] = '\xff';
  auto udp = header(7);
  udp[13] = '\x12';
  for (const auto& bytes : {kGet, std::string("PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n") + kGet, udp + kGet,
                            too_long + std::string(70'000, 'x'), header(7, std::string("\x02\xff\xff", 3)) + kGet,
                            header(7).substr(0, 20), std::string()}) {
    auto stream = connect();
    stream.send(bytes);
    EXPECT_EQ(stream.read_all(), "") << bytes.size();
  }
  EXPECT_EQ(a.count(), 0U);
}

TEST_F(ProxyProtocol, GoesBeforeTls) {
  serve_tls();
  start();
  auto plain = connect();
  ASSERT_TRUE(plain.send(header(8)));
  TlsEnd tls(dup(plain.fd()), client(), false);
  ASSERT_TRUE(tls.ok()) << tls.error();
  Stream stream(tls.plain());
  ASSERT_TRUE(stream.send(kGetClose));
  ASSERT_EQ(read_message(stream)->status(), 200);
  EXPECT_EQ(a.requests().front().field("x-forwarded-for"), "192.0.2.8");
  EXPECT_EQ(a.requests().front().field("x-forwarded-proto"), "https");
}

TEST_F(ProxyProtocol, WithoutItAHeaderIsNoRequest) {
  listener().proxy_protocol = false;
  start();
  auto stream = connect();
  ASSERT_TRUE(stream.send(header(7) + kGet));
  const auto answer = read_message(stream);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status(), 400);
  EXPECT_EQ(a.count(), 0U);
}

}  // namespace
}  // namespace foreshadow::kinds::http::testing
