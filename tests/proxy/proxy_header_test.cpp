#include "proxy/proxy_header.hpp"

#include <gtest/gtest.h>

#include <string>

namespace foreshadow::proxy {
namespace {

const std::string kSignature("\r\n\r\n\0\r\nQUIT\n", 12);

std::string prologue(int version_command, int family, std::size_t length) {
  return kSignature + static_cast<char>(version_command) + static_cast<char>(family) + static_cast<char>(length >> 8) +
         static_cast<char>(length);
}

Result<ProxyHeader> parse(int version_command, int family, const std::string& rest) {
  return parse_proxy_header(prologue(version_command, family, rest.size()), rest);
}

// 192.0.2.7:50000 to 198.51.100.1:443
const std::string kTcp4("\xc0\x00\x02\x07\xc6\x33\x64\x01\xc3\x50\x01\xbb", 12);
const std::string kTcp6 = std::string("\x20\x01\x0d\xb8", 4) + std::string(11, '\0') + "\x01" +
                          std::string(16, '\x11') + std::string("\xc3\x50\x01\xbb", 4);

TEST(ProxyHeader, TellsTheClient) {
  const auto v4 = parse(0x21, 0x11, kTcp4);
  ASSERT_TRUE(v4) << v4.error().what;
  ASSERT_TRUE(v4->client);
  EXPECT_FALSE(v4->client->v6);
  EXPECT_EQ(v4->client->bytes[0], 192);
  EXPECT_EQ(v4->client->bytes[3], 7);
  EXPECT_EQ(v4->client->port, 50'000);
  const auto v6 = parse(0x21, 0x21, kTcp6);
  ASSERT_TRUE(v6 && v6->client);
  EXPECT_TRUE(v6->client->v6);
  EXPECT_EQ(v6->client->bytes[0], 0x20);
  EXPECT_EQ(v6->client->bytes[15], 1);
  EXPECT_EQ(v6->client->port, 50'000);
}

TEST(ProxyHeader, TheBalancerItselfAndTheUnknownTellNobody) {
  for (const int family : {0x00, 0x11, 0x31, 0xff}) {
    const auto local = parse(0x20, family, "whatever it is");
    ASSERT_TRUE(local) << local.error().what;
    EXPECT_FALSE(local->client);
  }
  const auto unknown = parse(0x21, 0x00, kTcp4);
  ASSERT_TRUE(unknown);
  EXPECT_FALSE(unknown->client);
  EXPECT_TRUE(parse(0x20, 0, ""));
}

TEST(ProxyHeader, ExtensionsAreSkippedIfTheyFit) {
  EXPECT_TRUE(parse(0x21, 0x11, kTcp4 + std::string("\x04\x00\x00", 3)));
  EXPECT_TRUE(parse(0x21, 0x11, kTcp4 + std::string("\x02\x00\x03"
                                                "abc\xe0\x00\x01x",
                                                10)));
  for (const std::string& tlv : {std::string("\x02"), std::string("\x02\x00", 2),
                                 std::string("\x02\x00\x04"
                                             "abc",
                                             6),
                                 std::string("\x02\xff\xff", 3), std::string("\x04\x00\x00\x01", 4)})
    EXPECT_FALSE(parse(0x21, 0x11, kTcp4 + tlv)) << tlv.size();
}

TEST(ProxyHeader, RefusesWhatIsNotDefined) {
  EXPECT_FALSE(proxy_rest("GET / HTTP/1.1\r\n"));
  EXPECT_FALSE(proxy_rest("PROXY TCP4 1.2.3"));
  auto wrong = prologue(0x21, 0x11, 12);
  wrong[11] = '\r';
  EXPECT_FALSE(proxy_rest(wrong));
  for (const int version_command : {0x00, 0x11, 0x22, 0x2f, 0x31, 0xf1})
    EXPECT_FALSE(proxy_rest(prologue(version_command, 0x11, 12))) << version_command;
  // UDP, Unix sockets, and what is not assigned: none of these can have come to a TCP port.
  for (const int family : {0x01, 0x10, 0x12, 0x22, 0x31, 0x32, 0x41, 0xff})
    EXPECT_FALSE(proxy_rest(prologue(0x21, family, 216))) << family;
}

TEST(ProxyHeader, RefusesAHeaderTooShortForItsAddresses) {
  for (std::size_t length = 0; length < 36; ++length) {
    EXPECT_EQ(proxy_rest(prologue(0x21, 0x11, length)).has_value(), length >= 12) << length;
    EXPECT_FALSE(proxy_rest(prologue(0x21, 0x21, length))) << length;
  }
  EXPECT_EQ(proxy_rest(prologue(0x21, 0x21, 65'535)).value(), 65'535U);
}

}  // namespace
}  // namespace foreshadow::proxy
