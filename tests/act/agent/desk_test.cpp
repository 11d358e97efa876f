// The agent's desk with ports that do nothing but remember: who is let through, and what becomes of jobs.
#include "act/agent/desk.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <nlohmann/json.hpp>
#include <thread>

#include "act/agent/client.hpp"
#include "io/files.hpp"
#include "io/rpc.hpp"
#include "support/eventually.hpp"
#include "support/temp_dir.hpp"

namespace foreshadow::act {
namespace {

using namespace std::chrono_literals;
using foreshadow::testing::eventually;
using foreshadow::testing::TempDir;

struct Seen {
  std::atomic<int> acts{0};
  std::atomic<bool> copying{false};
  std::atomic<bool> stopped{false};
  std::atomic<bool> finish{false};
  std::atomic<bool> writable{true};
};

class PortsThatRemember final : public Promoter, public Replicator {
 public:
  explicit PortsThatRemember(Seen& seen) : seen_(seen) {}
  Result<std::string> prepare(const Authority&, const Instance&, const Instance&, std::stop_token) override {
    return "prepared";
  }
  Result<Finding> assess(const Authority&, const Instance&, const Instance&, std::uint64_t loss_max_bytes,
                         std::stop_token) override {
    if (loss_max_bytes < 10) return fail(Code::refused, "10 bytes are lost");
    return Finding{"10 bytes are lost", {{"lost_bytes", "10"}}};
  }
  Result<std::string> prove_equal(const Authority&, const Instance&, const Instance&, std::stop_token) override {
    return "proof";
  }
  Result<std::string> fence(const Authority&, const Instance& primary, const Instance&, std::stop_token) override {
    return act("fenced " + primary.id);
  }
  Result<Finding> check_fenced(const Authority&, const Instance&, const Instance&, const std::string& proof,
                               std::stop_token) override {
    if (proof != "proof") return fail(Code::conflict, "somebody committed");
    return Finding{"nobody", {{"xmax", "731"}}};
  }
  Result<std::string> promote(const Authority&, const Instance& shadow, std::stop_token) override {
    return act("promoted " + shadow.id);
  }
  Result<bool> writable(const Instance&, std::stop_token) override { return seen_.writable.load(); }
  Result<std::string> revive(const Authority&, const Instance&, std::stop_token) override { return act("revived"); }
  Result<std::string> rejoin(const Authority&, const Instance&, const Instance&, std::stop_token) override {
    return act("rejoined");
  }
  Result<std::string> follow(const Instance&, const Instance&, Millis, const Progress& progress,
                             std::stop_token stop) override {
    seen_.copying = true;
    progress(0.5, "half way");
    eventually([&] { return stop.stop_requested() || seen_.finish; });
    seen_.stopped = stop.stop_requested();
    seen_.copying = false;
    if (stop.stop_requested()) return fail(Code::cancelled, "given up");
    return "followed";
  }
  Result<ReplicaState> state(const Instance&, const Instance&, std::stop_token) override {
    return ReplicaState{.following = true, .lag = 7ms, .lag_bytes = 42, .detail = "near"};
  }
  Result<void> forget(const Instance&, const Instance&, std::stop_token) override { return {}; }

 private:
  Result<std::string> act(std::string what) {
    ++seen_.acts;
    return what;
  }
  Seen& seen_;
};

struct DeskTest : ::testing::Test {
  TempDir dir;
  Seen seen;
  std::unique_ptr<Desk> desk;
  std::unique_ptr<io::RpcServer> server;
  Instance a{.id = "a"}, b{.id = "b"};

  DeskSettings settings() {
    return {.name = "test",
            .state_dir = dir.path(),
            .follow_lease = 300ms,
            .ports = [this](const std::string& kind, const ResourceId&,
                            const std::map<std::string, std::string>&) -> Result<HostPorts> {
              if (kind != "known") return fail(Code::invalid, "no kind " + kind);
              return HostPorts{std::make_unique<PortsThatRemember>(seen), std::make_unique<PortsThatRemember>(seen)};
            }};
  }
  void SetUp() override {
    auto opened = Desk::open(settings());
    ASSERT_TRUE(opened) << opened.error().what;
    desk = std::move(*opened);
    auto listening = io::RpcServer::listen(dir / "s", [this](const nlohmann::json& j) { return desk->handle(j); });
    ASSERT_TRUE(listening) << listening.error().what;
    server = std::move(*listening);
  }
  void TearDown() override {
    desk->stop();
    server.reset();
  }
  std::unique_ptr<Promoter> promoter(const std::string& kind = "known") {
    return remote_promoter({dir / "s", kind, {}});
  }
  std::unique_ptr<Replicator> replicator() { return remote_replicator({dir / "s", "known", {}}); }
};

TEST_F(DeskTest, StepsPassThroughInOrderAndErrorsKeepTheirCode) {
  const auto p = promoter();
  const Authority who{"shop", 1, 1};
  EXPECT_EQ(*p->prepare(who, a, b, {}), "prepared");
  EXPECT_EQ(*p->prove_equal(who, a, b, {}), "proof");
  EXPECT_EQ(p->promote(who, b, {}).error().code, Code::refused);
  EXPECT_EQ(seen.acts, 0);
  EXPECT_EQ(p->assess(who, a, b, 10, {}).error().code, Code::refused) << "not fenced";
  EXPECT_EQ(*p->fence(who, a, b, {}), "fenced a");
  EXPECT_EQ(p->assess(who, a, b, 0, {}).error().what, "10 bytes are lost");
  EXPECT_EQ(p->assess(who, a, b, 10, {})->facts, (Facts{{"lost_bytes", "10"}}));
  EXPECT_EQ(p->check_fenced(who, a, b, "another", {}).error().code, Code::conflict);
  const auto checked = p->check_fenced(who, a, b, "proof", {});
  EXPECT_EQ(checked->text, "nobody");
  EXPECT_EQ(checked->facts, (Facts{{"xmax", "731"}}));
  EXPECT_EQ(*p->promote(who, b, {}), "promoted b");
  EXPECT_EQ(p->revive(who, a, {}).error().code, Code::refused);
  EXPECT_EQ(*p->rejoin(who, a, b, {}), "rejoined");
  const auto acts = seen.acts.load();
  EXPECT_TRUE(p->fence(who, a, b, {})->find("done before") != std::string::npos);
  EXPECT_EQ(seen.acts, acts);
  EXPECT_EQ(promoter("unknown")->fence({"shop", 1, 2}, a, b, {}).error().code, Code::invalid);
  const auto state = replicator()->state(a, b, {});
  ASSERT_TRUE(state);
  EXPECT_EQ(state->lag, 7ms);
  EXPECT_EQ(state->lag_bytes, 42U);
  EXPECT_TRUE(replicator()->forget(a, b, {}));
}

TEST_F(DeskTest, ARevivalOfWhatWasNotFencedOnlyLooks) {
  EXPECT_TRUE(promoter()->revive({"shop", 1, 1}, a, {}));
  seen.writable = false;
  EXPECT_EQ(promoter()->revive({"shop", 1, 1}, a, {}).error().code, Code::refused);
  EXPECT_EQ(seen.acts, 0);
}

TEST_F(DeskTest, ASecondAgentOfTheNameIsRefused) {
  const auto second = Desk::open(settings());
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Code::conflict);
}

TEST_F(DeskTest, FollowTellsProgressAndItsEnd) {
  std::vector<std::string> told;
  std::jthread finisher([&] {
    eventually([&] { return seen.copying.load(); });
    seen.finish = true;
  });
  const auto followed =
      replicator()->follow(a, b, 20s, [&](double, const std::string& text) { told.push_back(text); }, {});
  ASSERT_TRUE(followed) << followed.error().what;
  EXPECT_EQ(*followed, "followed");
}

TEST_F(DeskTest, AFollowThatIsStoppedStopsItsJob) {
  std::stop_source stop;
  std::jthread stopper([&] {
    eventually([&] { return seen.copying.load(); });
    stop.request_stop();
  });
  const auto followed = replicator()->follow(a, b, 20s, {}, stop.get_token());
  ASSERT_FALSE(followed);
  EXPECT_EQ(followed.error().code, Code::cancelled);
  EXPECT_TRUE(eventually([&] { return seen.stopped && !seen.copying; }));
}

TEST_F(DeskTest, AFollowNobodyAsksAboutIsGivenUp) {
  const nlohmann::json request{{"verb", "follow"}, {"kind", "known"}, {"primary", nlohmann::json::object()}};
  EXPECT_EQ(desk->handle(request).error().code, Code::invalid) << "an instance without its fields";
  std::stop_source gone;
  {
    // Asked once, as by a controller that then dies.
    std::jthread once([&] {
      const auto running =
          desk->handle(nlohmann::json::parse(R"({"verb": "follow", "kind": "known", "timeout_ms": 20000,
        "primary": {"id": "a", "endpoint": {"host": "", "port": 0}, "data_dir": "", "pid_file": "", "failure_domains": [],
                    "attributes": {}},
        "shadow": {"id": "b", "endpoint": {"host": "", "port": 0}, "data_dir": "", "pid_file": "", "failure_domains": [],
                   "attributes": {}}})"));
      ASSERT_TRUE(running) << running.error().what;
      EXPECT_EQ(running->at("state"), "running");
    });
  }
  EXPECT_TRUE(eventually([&] { return seen.stopped.load(); }));
}

TEST_F(DeskTest, NonsenseIsRefusedAndNothingIsDone) {
  for (const char* text : {"{}", "[]", "3", R"({"verb": 3})", R"({"verb": "fly", "kind": "known"})",
                           R"({"verb": "fence", "kind": "known"})", R"({"verb": "fence", "kind": "known", "who": {}})",
                           R"({"verb": "fence", "kind": "known", "who": {"resource": "", "term": 1, "epoch": 1}})"}) {
    const auto answer = desk->handle(nlohmann::json::parse(text));
    ASSERT_FALSE(answer) << text;
    EXPECT_EQ(answer.error().code, Code::invalid) << text;
  }
  EXPECT_EQ(seen.acts, 0);
}

TEST(DeskClient, NobodyThereIsUnreachable) {
  const TempDir dir;
  const auto p = remote_promoter({dir / "none", "known", {}});
  EXPECT_EQ(p->fence({"shop", 1, 1}, {.id = "a"}, {.id = "b"}, {}).error().code, Code::unreachable);
}

}  // namespace
}  // namespace foreshadow::act
