#include <gtest/gtest.h>

#include "kinds/http/websocket.hpp"
#include "kinds/http/wire/upgrade.hpp"
#include "kinds/http/wire/websocket.hpp"

namespace foreshadow::kinds::http {
namespace {

using testing::to_bytes;
using testing::WsFrame;

TEST(WebSocketFrames, KnowsEveryBoundaryHoweverTheBytesCome) {
  std::string bytes;
  std::vector<std::size_t> ends;
  for (const bool masked : {false, true})
    for (const std::size_t size : {0U, 1U, 125U, 126U, 127U, 65535U, 65536U}) {
      bytes += to_bytes({size % 2 == 0, testing::kWsBinary, std::string(size, 'x')}, masked);
      ends.push_back(bytes.size());
    }
  for (const std::size_t piece : {std::size_t{1}, std::size_t{3}, std::size_t{1000}, bytes.size()}) {
    FrameTracker tracker;
    std::vector<std::size_t> found;
    for (std::size_t at = 0; at < bytes.size();) {
      const auto next = std::string_view(bytes).substr(at, piece);
      const auto to = tracker.to_boundary(next);
      tracker.pass(next.substr(0, to));
      at += to;
      if (tracker.at_boundary()) found.push_back(at);
    }
    EXPECT_EQ(found, ends) << "in pieces of " << piece;
    EXPECT_FALSE(tracker.closed());
    EXPECT_FALSE(tracker.lost());
  }
}

TEST(WebSocketFrames, SeesACloseAndNonsense) {
  FrameTracker tracker;
  tracker.pass(to_bytes({false, testing::kWsText, "a"}, false) + to_bytes({true, testing::kWsPing, ""}, false));
  EXPECT_TRUE(tracker.at_boundary()) << "between the parts of a message";
  tracker.pass(close_frame(kServiceRestart, "why"));
  EXPECT_TRUE(tracker.closed());
  EXPECT_TRUE(tracker.at_boundary());

  FrameTracker other;
  other.pass("\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff and whatever follows");
  EXPECT_TRUE(other.lost());
  EXPECT_FALSE(other.at_boundary());
}

TEST(WebSocketFrames, WritesAClose) { EXPECT_EQ(close_frame(1012, "x"), std::string("\x88\x03\x03\xf4x")); }

struct Switch {
  std::string answer;
  std::string offer;
  bool taken_up;
};

TEST(UpgradeOffer, OnlyWhatWasOfferedIsTakenUp) {
  const std::string start = "HTTP/1.1 101 Switching Protocols\r\n", connection = "Connection: Upgrade\r\n";
  const std::vector<Switch> rows{
      {start + connection + "Upgrade: websocket\r\n\r\n", "websocket", true},
      {start + connection + "Upgrade: WebSocket\r\n\r\n", "chat/1, websocket", true},
      {start + connection + "Upgrade: chat/1, websocket\r\n\r\n", "chat/1, websocket", true},
      {start + connection + "Upgrade: chat/2\r\n\r\n", "chat/1", false},
      {start + connection + "Upgrade: websocket, other\r\n\r\n", "websocket", false},
      {start + connection + "Upgrade: h2c\r\n\r\n", "websocket", false},
      {start + connection + "Upgrade: \r\n\r\n", "websocket", false},
      {start + connection + "\r\n", "websocket", false},
      {start + "Upgrade: websocket\r\n\r\n", "websocket", false},
      {start + connection + "Upgrade: websocket\r\n\r\n", "", false},
      {"HTTP/1.0 101 X\r\n" + connection + "Upgrade: websocket\r\n\r\n", "websocket", false},
  };
  for (const auto& row : rows) {
    const auto head = parse_response_head(row.answer, {});
    ASSERT_TRUE(head) << row.answer;
    EXPECT_EQ(takes_up(*head, read_connection(head->fields), row.offer), row.taken_up) << row.answer << row.offer;
  }
}

std::string offered(const std::string& fields, const std::string& version = "1.1") {
  const auto bytes = "GET / HTTP/" + version + "\r\nHost: h\r\n" + fields + "\r\n";
  const auto head = parse_request_head(bytes, {});
  if (!head) return "(no head)";
  const auto offer = offered_protocols(*head, read_connection(head->fields));
  return offer ? *offer : std::to_string(offer.error().status);
}

TEST(UpgradeOffer, ReadsAnOffer) {
  EXPECT_EQ(offered("Connection: upgrade\r\nUpgrade: websocket\r\n"), "websocket");
  EXPECT_EQ(offered("Connection: keep-alive, Upgrade\r\nUpgrade: a/1\r\nUpgrade: h2c, b\r\n"), "a/1, b");
  EXPECT_EQ(offered("Connection: upgrade\r\nUpgrade: h2c\r\n"), "");
  EXPECT_EQ(offered("Upgrade: websocket\r\n"), "");
  EXPECT_EQ(offered("Connection: upgrade\r\n"), "");
  EXPECT_EQ(offered("Connection: upgrade\r\nUpgrade: websocket\r\n", "1.0"), "");
  for (const auto* bad : {"a b", "a/", "/1", "a/b/c", "\"a\""})
    EXPECT_EQ(offered(std::string("Connection: upgrade\r\nUpgrade: ") + bad + "\r\n"), "400") << bad;
}

}  // namespace
}  // namespace foreshadow::kinds::http
