// The driver against sockets that answer as told: what one gateway's silence means for the others.
#include "act/steer/gateway_steer.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>

#include "domain/json.hpp"
#include "io/rpc.hpp"
#include "support/temp_dir.hpp"

namespace foreshadow::act {
namespace {

using nlohmann::json;

// A gateway's control socket, and what was asked on it.
class Socket {
 public:
  Socket(std::string path, std::string name) : path_(std::move(path)), name_(std::move(name)) { listen(); }

  void listen() {
    auto server = io::RpcServer::listen(path_, [this](const json& request) -> Result<json> {
      const auto verb = request.at("verb").get<std::string>();
      const std::lock_guard lock(mutex_);
      asked_.push_back(verb);
      if (const auto it = errors_.find(verb); it != errors_.end()) return tl::make_unexpected(it->second);
      if (verb == "report")
        return json(GatewayReport{.gateway = name_, .resource = "shop", .incarnation = name_ + "#1"});
      return json(GatewayAck{name_, name_ + "#1"});
    });
    ASSERT_TRUE(server) << server.error().what;
    server_ = std::move(*server);
  }
  void die() { server_.reset(); }
  void refuse(const std::string& verb, Error error) {
    const std::lock_guard lock(mutex_);
    errors_[verb] = std::move(error);
  }
  int asked(const std::string& verb) const {
    const std::lock_guard lock(mutex_);
    return static_cast<int>(std::count(asked_.begin(), asked_.end(), verb));
  }

 private:
  std::string path_, name_;
  mutable std::mutex mutex_;
  std::vector<std::string> asked_;
  std::map<std::string, Error> errors_;
  std::unique_ptr<io::RpcServer> server_;
};

struct GatewaySteerTest : ::testing::Test {
  foreshadow::testing::TempDir dir;
  Socket a{dir / "a.sock", "a"};
  Socket b{dir / "b.sock", "b"};
  std::atomic<bool> b_is_out = false;
  std::unique_ptr<Steer> steer = make_gateway_steer({{{"a", dir / "a.sock"}, {"b", dir / "b.sock"}},
                                                     [this](const std::string& gateway, const ResourceId& resource) {
                                                       return b_is_out && gateway == "b" && resource == "shop";
                                                     },
                                                     Millis{10'000}});

  Result<std::vector<GatewayAck>> hold() { return steer->hold("shop", 1, 1, HoldPolicy{}, false, {}); }
  Result<void> seal(const std::vector<GatewayAck>& acks) { return steer->seal("shop", 1, 1, acks, {}); }
};

TEST_F(GatewaySteerTest, a_hold_needs_both_and_names_who_acknowledged) {
  const auto acks = hold();
  ASSERT_TRUE(acks) << acks.error().what;
  EXPECT_EQ(*acks, (std::vector<GatewayAck>{{"a", "a#1"}, {"b", "b#1"}}));
  EXPECT_TRUE(seal(*acks));
}

TEST_F(GatewaySteerTest, nobody_is_held_when_one_is_dead) {
  b.die();
  const auto acks = hold();
  ASSERT_FALSE(acks);
  EXPECT_EQ(acks.error().code, Code::unreachable);
  EXPECT_NE(acks.error().what.find("gateway b"), std::string::npos) << acks.error().what;
  EXPECT_EQ(a.asked("hold"), 0) << "clients of a would have been parked for nothing";
}

TEST_F(GatewaySteerTest, a_hold_that_one_refuses_is_released_at_both) {
  b.refuse("hold", {Code::timeout, "3 still in flight"});
  ASSERT_FALSE(hold());
  EXPECT_EQ(a.asked("release"), 1);
  EXPECT_EQ(b.asked("release"), 1);
}

TEST_F(GatewaySteerTest, a_seal_needs_the_acknowledgement_of_every_gateway) {
  const auto sealed = seal({{"a", "a#1"}});
  ASSERT_FALSE(sealed);
  EXPECT_EQ(sealed.error().code, Code::refused);
  EXPECT_EQ(a.asked("seal") + b.asked("seal"), 0);
}

TEST_F(GatewaySteerTest, all_are_asked_to_release_whatever_one_says) {
  b.die();
  EXPECT_FALSE(steer->release("shop", 1, 1, {}));
  EXPECT_EQ(a.asked("release"), 1);
}

TEST_F(GatewaySteerTest, one_that_was_taken_out_counts_as_held_and_sealed) {
  b.die();
  b_is_out = true;
  const auto acks = hold();
  ASSERT_TRUE(acks) << acks.error().what;
  EXPECT_EQ(acks->back(), (GatewayAck{"b", "out"}));
  EXPECT_TRUE(seal(*acks));
  RouteTable table;
  table.resource = "shop";
  EXPECT_TRUE(steer->apply(table, {}));
  const auto reports = steer->report("shop", {});
  ASSERT_TRUE(reports);
  ASSERT_EQ(reports->size(), 2U);
  EXPECT_EQ(reports->back().gateway, "b");
  EXPECT_EQ(reports->back().incarnation, "out");
  EXPECT_EQ(reports->back().hold, HoldState::sealed);
}

TEST_F(GatewaySteerTest, one_that_came_back_answers_for_itself) {
  b_is_out = true;  // its file says so until it has been told
  b.refuse("hold", {Code::refused, "it has been away"});
  EXPECT_FALSE(hold());
  const auto reports = steer->report("shop", {});
  ASSERT_TRUE(reports);
  EXPECT_EQ(reports->back().incarnation, "b#1");
}

TEST_F(GatewaySteerTest, a_silent_gateway_gives_no_report) {
  b.die();
  const auto reports = steer->report("shop", {});
  ASSERT_TRUE(reports);
  EXPECT_EQ(reports->size(), 1U);
}

}  // namespace
}  // namespace foreshadow::act
