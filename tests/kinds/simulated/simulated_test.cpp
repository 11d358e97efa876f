// The kind that others are copied from, through everything a kind must do: as ports, and behind a real gateway.
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "domain/json.hpp"
#include "io/rpc.hpp"
#include "kinds/simulated/simulated_kind.hpp"
#include "proxy/gateway.hpp"
#include "support/temp_dir.hpp"

namespace foreshadow::testing {
namespace {

using kinds::simulated::Role;
using kinds::simulated::World;
using namespace std::chrono_literals;

struct SimulatedKind : ::testing::Test {
  std::shared_ptr<World> world = std::make_shared<World>();
  std::unique_ptr<kinds::Kind> kind = kinds::make_simulated_kind(world);
  std::unique_ptr<act::Replicator> replicator = kind->replicator({});
  std::unique_ptr<act::Promoter> promoter = kind->promoter({});
  Instance a{.id = "a", .endpoint = {"127.0.0.1", 1}}, b{.id = "b", .endpoint = {"127.0.0.1", 2}};
  static act::Authority who(std::uint64_t epoch, std::uint64_t term = 1) { return {"shop", term, epoch}; }
};

TEST_F(SimulatedKind, HandsOverWithEverythingAndBack) {
  ASSERT_TRUE(world->append("a", "one"));
  ASSERT_TRUE(replicator->follow(a, b, 1s, {}, {}));
  EXPECT_FALSE(world->append("b", "never"));
  ASSERT_TRUE(world->append("a", "two"));
  const auto proof = promoter->prove_equal(who(1), a, b, {});
  ASSERT_TRUE(proof);
  ASSERT_TRUE(promoter->fence(who(1), a, b, {}));
  EXPECT_FALSE(world->append("a", "never"));
  ASSERT_TRUE(promoter->check_fenced(who(1), a, b, *proof, {}));
  ASSERT_TRUE(promoter->promote(who(1), b, {}));
  EXPECT_TRUE(*promoter->writable(b, {}));
  EXPECT_FALSE(*promoter->writable(a, {}));
  ASSERT_TRUE(promoter->rejoin(who(1), a, b, {}));
  ASSERT_TRUE(world->append("b", "three"));
  EXPECT_EQ(world->log("a"), (std::vector<std::string>{"one", "two", "three"}));
  EXPECT_EQ(promoter->revive(who(1), a, {}).error().code, Code::refused);
}

TEST_F(SimulatedKind, ALaggingShadowIsSeenAndNeverProven) {
  ASSERT_TRUE(replicator->follow(a, b, 1s, {}, {}));
  EXPECT_EQ(replicator->state(a, b, {})->lag, Millis{0});
  world->cut("b", true);
  ASSERT_TRUE(world->append("a", "12345"));
  const auto state = replicator->state(a, b, {});
  EXPECT_TRUE(state->following);
  EXPECT_EQ(state->lag_bytes, 5U);
  EXPECT_FALSE(state->lag.has_value());
  EXPECT_EQ(promoter->prove_equal(who(1), a, b, {}).error().code, Code::timeout);
  world->cut("b", false);
  EXPECT_TRUE(promoter->prove_equal(who(1), a, b, {}));
  ASSERT_TRUE(replicator->forget(a, b, {}));
  EXPECT_FALSE(replicator->state(a, b, {})->following);
}

TEST_F(SimulatedKind, AWritePastTheProofIsAConflictAndTheOldSideComesBack) {
  ASSERT_TRUE(replicator->follow(a, b, 1s, {}, {}));
  const auto proof = promoter->prove_equal(who(3), a, b, {});
  ASSERT_TRUE(proof);
  ASSERT_TRUE(world->append("a", "beside the gateway"));
  ASSERT_TRUE(promoter->fence(who(3), a, b, {}));
  EXPECT_EQ(promoter->check_fenced(who(3), a, b, *proof, {}).error().code, Code::conflict);
  EXPECT_EQ(promoter->check_fenced(who(3), a, b, "many", {}).error().code, Code::invalid);
  ASSERT_TRUE(promoter->revive(who(3), a, {}));
  EXPECT_TRUE(world->append("a", "again"));
}

TEST_F(SimulatedKind, AStaleControllerIsRefused) {
  ASSERT_TRUE(promoter->fence(who(5, 2), a, b, {}));
  EXPECT_EQ(promoter->promote(who(4, 2), b, {}).error().code, Code::conflict);
  EXPECT_EQ(promoter->promote(who(5, 1), b, {}).error().code, Code::conflict);
}

TEST_F(SimulatedKind, OptionsAreCheckedAndSourcesRead) {
  const Resource resource{.id = "shop", .kind = "simulated"};
  EXPECT_TRUE(kind->check(resource, {{"line_max", "1KiB"}}));
  EXPECT_FALSE(kind->check(resource, {{"line_max", "0"}}));
  EXPECT_FALSE(kind->check(resource, {{"line_max", "long"}}));
  ASSERT_TRUE(world->append("a", "one"));
  const auto sources = kind->sources(a, {});
  ASSERT_EQ(sources.size(), 1U);
  const auto readings = sources[0]->scrape({});
  ASSERT_TRUE(readings);
  EXPECT_EQ(readings->at(0).value, 1.0);
  EXPECT_EQ(readings->at(1).value, 1.0);
  world->fence("a");
  EXPECT_EQ(sources[0]->scrape({})->at(0).value, 0.0);
}

// Blocking, with a limit so that a broken session fails the test instead of hanging it.
std::string ask(int fd, const std::string& text) {
  if (::send(fd, text.data(), text.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(text.size())) return "";
  std::string answer;
  for (char byte = 0; ::recv(fd, &byte, 1, 0) == 1 && byte != '\n';) answer += byte;
  return answer;
}

TEST_F(SimulatedKind, ClientsOfARealGatewayFollowAHandoverOnOneConnection) {
  const TempDir dir;
  proxy::GatewaySettings settings{.name = "edge", .state_dir = dir.path()};
  proxy::ListenerSettings listener;
  listener.resource = "shop";
  listener.kind = "simulated";
  listener.listen = {"127.0.0.1", 0};
  listener.segments = {{.id = "all", .writes = true}};
  listener.matches = {{"all", {}}};
  listener.primary = a;
  listener.options = {{"line_max", "100"}};
  settings.listeners.push_back(listener);
  auto gateway =
      proxy::Gateway::start(settings,
                            [&](const proxy::ListenerSettings& l, boost::asio::any_io_executor executor)
                                -> Result<std::unique_ptr<proxy::Protocol>> { return kind->protocol(l, executor); });
  ASSERT_TRUE(gateway) << gateway.error().what;
  const auto connect_to = [&] {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const timeval limit{20, 0};
    ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons((*gateway)->endpoint("shop").port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to), 0);
    return fd;
  };
  const int fd = connect_to();
  EXPECT_EQ(ask(fd, "hello\n"), "ok a hello");

  ASSERT_TRUE(replicator->follow(a, b, 1s, {}, {}));
  const auto socket = proxy::gateway_socket_path(dir.path(), "edge");
  const auto held = io::rpc_call(
      socket, {{"verb", "hold"}, {"resource", "shop"}, {"term", 1}, {"next_epoch", 1}, {"policy", HoldPolicy{}}}, 5s);
  ASSERT_TRUE(held) << held.error().what;
  const auto proof = promoter->prove_equal(who(1), a, b, {});
  ASSERT_TRUE(proof);
  ASSERT_TRUE(promoter->fence(who(1), a, b, {}));
  ASSERT_TRUE(promoter->check_fenced(who(1), a, b, *proof, {}));
  ASSERT_TRUE(promoter->promote(who(1), b, {}));
  // Sent while the gate is closed: parked, not failed.
  const std::string parked = "parked\n";
  ASSERT_EQ(::send(fd, parked.data(), parked.size(), MSG_NOSIGNAL), static_cast<ssize_t>(parked.size()));
  RouteTable table{.resource = "shop", .epoch = 1, .version = 1, .term = 1, .current = b};
  ASSERT_TRUE(io::rpc_call(socket, {{"verb", "apply"}, {"table", table}}, 5s));
  EXPECT_EQ(ask(fd, ""), "ok b parked");
  EXPECT_EQ(ask(fd, "after\n"), "ok b after");
  EXPECT_EQ(world->log("b"), (std::vector<std::string>{"hello", "parked", "after"}));

  const int noisy = connect_to();
  EXPECT_EQ(ask(noisy, std::string(1000, 'x')), "") << "a line without end ends the session";
  ::close(noisy);
  ::close(fd);
}

}  // namespace
}  // namespace foreshadow::testing
