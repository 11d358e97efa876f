// The agent role as it is run: over its socket, with a kind that has something to fence, and restarted between steps.
#include "app/agent.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <thread>

#include "act/agent/client.hpp"
#include "io/rpc.hpp"
#include "kinds/simulated/simulated_kind.hpp"
#include "support/eventually.hpp"
#include "support/temp_dir.hpp"

namespace foreshadow::app {
namespace {

using namespace std::chrono_literals;
using foreshadow::testing::eventually;
using foreshadow::testing::TempDir;

struct AgentRole : ::testing::Test {
  TempDir dir;
  std::shared_ptr<kinds::simulated::World> world = std::make_shared<kinds::simulated::World>();
  std::unique_ptr<kinds::Kind> kind = kinds::make_simulated_kind(world);
  AgentSettings settings{.name = "local", .state_dir = dir.path(), .options = {}, .kinds = {kind.get()}};
  std::string socket = agent_socket(dir.path(), "local");
  Instance a{.id = "a"}, b{.id = "b"};

  struct Running {
    std::jthread thread;
    Result<void> ended;
  };
  void start(Running& running) {
    running.thread = std::jthread([&](std::stop_token stop) { running.ended = run_agent(settings, stop); });
    ASSERT_TRUE(eventually([&] { return io::rpc_call(socket, {{"verb", "ping"}}, 1s).has_value(); }));
  }
  static void stop(Running& running) {
    running.thread.request_stop();
    running.thread.join();
    EXPECT_TRUE(running.ended) << running.ended.error().what;
  }
};

TEST_F(AgentRole, ServesItsKindsAndRemembersOverARestart) {
  Running first;
  start(first);
  const auto promoter = act::remote_promoter({socket, "simulated", {}});
  ASSERT_TRUE(act::remote_replicator({socket, "simulated", {}})->follow(a, b, 5s, {}, {}));
  ASSERT_TRUE(promoter->fence({"shop", 2, 1}, a, b, {}));
  EXPECT_FALSE(world->append("a", "refused"));
  const auto other = run_agent(settings, {});
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().code, Code::conflict) << other.error().what;
  stop(first);
  EXPECT_EQ(promoter->promote({"shop", 2, 1}, b, {}).error().code, Code::unreachable);

  Running second;
  start(second);
  EXPECT_EQ(promoter->promote({"shop", 1, 1}, b, {}).error().code, Code::conflict);
  ASSERT_TRUE(promoter->promote({"shop", 2, 1}, b, {}));
  EXPECT_TRUE(world->append("b", "accepted"));
  const auto book = io::rpc_call(socket, {{"verb", "epochs"}, {"resource", "shop"}}, 1s);
  ASSERT_TRUE(book) << book.error().what;
  EXPECT_EQ(book->at("promoted_instance"), "b");
  stop(second);
}

TEST_F(AgentRole, AnUnknownKindIsToldAndNothingIsDone) {
  Running running;
  start(running);
  const auto refused = act::remote_promoter({socket, "oracle", {}})->fence({"shop", 1, 1}, a, b, {});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::invalid);
  stop(running);
}

}  // namespace
}  // namespace foreshadow::app
