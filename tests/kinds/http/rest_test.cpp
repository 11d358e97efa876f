// Keep-alive connections that rest between two requests. That they are cheap then is for `./dev bench gateway` to show.
#include "kinds/http/rig.hpp"

namespace foreshadow::kinds::http {
namespace {

using namespace testing;

const std::string kGet = "GET /x HTTP/1.1\r\nHost: shop\r\n\r\n";

struct Resting : Rig {
  // Longer than a session waits before its connection goes to rest.
  static void pause() {
    const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(1200);
    EXPECT_TRUE(eventually([&] { return std::chrono::steady_clock::now() >= until; }));
  }
};

TEST_F(Resting, AConnectionIsServedAgainWhenItsClientSpeaks) {
  start();
  auto client = connect();
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(client.send(kGet));
    EXPECT_EQ(read_message(client)->status(), 200);
    pause();
    EXPECT_EQ(report().sessions, 1);
  }
  client.end_sending();
  EXPECT_TRUE(client.ended());
  EXPECT_TRUE(eventually([&] { return report().sessions == 0; }));
}

TEST_F(Resting, AConnectionStaysOnItsSide) {
  start();
  apply(split(0.5, 0));
  std::vector<Stream> clients;
  for (int i = 0; i < 20; ++i) clients.push_back(connect());
  std::vector<std::string> sides;
  for (int round = 0; round < 2; ++round) {
    for (std::size_t i = 0; i < clients.size(); ++i) {
      ASSERT_TRUE(clients[i].send(kGet));
      const auto answer = read_message(clients[i]);
      ASSERT_TRUE(answer);
      if (round == 0)
        sides.push_back(answer->body);
      else
        EXPECT_EQ(answer->body, sides[i]);
    }
    pause();
  }
}

TEST_F(Resting, EndsAfterTheIdleTimeout) {
  listener().idle_timeout = Millis{2000};
  start();
  auto client = connect();
  ASSERT_TRUE(client.send(kGet));
  EXPECT_EQ(read_message(client)->status(), 200);
  pause();
  EXPECT_EQ(report().sessions, 1);
  EXPECT_TRUE(client.ended());
  EXPECT_EQ(report().sessions, 0);
}

TEST_F(Resting, CountsAsAConnectionAndEndsWithTheGateway) {
  listener().connections_max = 1;
  start();
  auto client = connect();
  ASSERT_TRUE(client.send(kGet));
  EXPECT_EQ(read_message(client)->status(), 200);
  pause();
  auto other = connect();
  EXPECT_TRUE(other.ended()) << "one is the most";
  gateway.reset();
  EXPECT_TRUE(client.ended());
}

}  // namespace
}  // namespace foreshadow::kinds::http
