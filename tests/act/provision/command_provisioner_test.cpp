#include "act/provision/command_provisioner.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "io/files.hpp"
#include "support/eventually.hpp"
#include "support/temp_dir.hpp"

namespace foreshadow::act {
namespace {

using nlohmann::json;
using testing::eventually;
using testing::TempDir;

struct Bench {
  TempDir dir;
  ProvisionRequest request{
      .resource = "shop", .primary = {.id = "shop-a", .endpoint = {"127.0.0.1", 9001}}, .key = "shop-7"};
  CommandSettings settings{.argv = {"sh", "-c", ""},
                           .destroy = {"sh", "-c", "cat > " + dir / "destroyed"},
                           .timeout = Millis{10'000},
                           .state_dir = dir / "state"};
  std::string input = dir / "input";

  CommandProvisioner up(const std::string& script) {
    settings.argv = {"sh", "-c", script};
    return CommandProvisioner(settings);
  }
  // Prints a good instance, and keeps what it was asked.
  CommandProvisioner good() { return up("cat > " + input + R"(; echo '{"id":"shop-b","address":"127.0.0.1:9002"}')"); }
  Result<Instance> run(const std::string& script) { return up(script).provision(request, {}, {}); }
  json record() { return json::parse(io::read_file(dir / "state/provisioned/shop-7.json").value()); }
};

TEST(CommandProvisioner, AsksForAShadowAndRecordsIt) {
  Bench bench;
  const auto made = bench.good().provision(bench.request, {}, {});
  ASSERT_TRUE(made) << made.error().what;
  EXPECT_EQ(made->id, "shop-b");
  EXPECT_EQ(json::parse(io::read_file(bench.input).value()),
            (json{{"action", "provision"},
                  {"resource", "shop"},
                  {"key", "shop-7"},
                  {"primary", {{"id", "shop-a"}, {"address", "127.0.0.1:9001"}}}}));
  EXPECT_EQ(bench.record().at("stage"), "made");
  EXPECT_EQ(bench.record().at("instance").at("id"), "shop-b");
  struct stat st{};
  ASSERT_EQ(::stat((bench.dir / "state/provisioned/shop-7.json").c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 0777, 0600u);
}

TEST(CommandProvisioner, PlanRunsNothing) {
  Bench bench;
  const auto plan = bench.up("touch " + bench.dir / "ran").plan(bench.request, {});
  ASSERT_TRUE(plan);
  EXPECT_NE(plan->find("touch"), std::string::npos);
  EXPECT_FALSE(std::filesystem::exists(bench.dir / "ran"));
}

TEST(CommandProvisioner, TheSameKeyGivesTheSameInstanceOrAConflict) {
  Bench bench;
  ASSERT_TRUE(bench.good().provision(bench.request, {}, {}));
  EXPECT_TRUE(bench.good().provision(bench.request, {}, {}));
  const auto other = bench.run(R"(echo '{"id":"shop-c","address":"127.0.0.1:9003"}')");
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().code, Code::conflict);
  EXPECT_NE(other.error().what.find("shop-b"), std::string::npos);
  bench.request.resource = "another";
  EXPECT_EQ(bench.good().provision(bench.request, {}, {}).error().code, Code::conflict);
  bench.request.resource = "shop";
  bench.request.key = "../escape";
  EXPECT_EQ(bench.good().provision(bench.request, {}, {}).error().code, Code::invalid);
}

TEST(CommandProvisioner, TwoAtOnceUnderOneKeyExcludeEachOther) {
  Bench bench;
  auto slow = bench.up("touch " + bench.dir / "in" + "; while [ ! -e " + bench.dir / "go" +
                       R"( ]; do sleep 0.01; done; echo '{"id":"shop-b","address":"127.0.0.1:9002"}')");
  std::jthread first([&] { EXPECT_TRUE(slow.provision(bench.request, {}, {})); });
  ASSERT_TRUE(eventually([&] { return std::filesystem::exists(bench.dir / "in"); }));
  EXPECT_EQ(slow.provision(bench.request, {}, {}).error().code, Code::conflict);
  std::ofstream(bench.dir / "go") << "";
}

TEST(CommandProvisioner, ShowsWhatItSaysAsProgress) {
  Bench bench;
  std::vector<std::pair<double, std::string>> seen;
  auto provisioner = bench.up(
      R"(echo starting >&2; echo '50% copied' >&2; printf 'odd \033[31m\n' >&2; echo '{"id":"b","address":"h:1"}')");
  ASSERT_TRUE(
      provisioner.provision(bench.request, [&](double f, const std::string& s) { seen.emplace_back(f, s); }, {}));
  ASSERT_EQ(seen.size(), 3u);
  EXPECT_EQ(seen[0], (std::pair<double, std::string>{0, "starting"}));
  EXPECT_EQ(seen[1], (std::pair<double, std::string>{0.5, "50% copied"}));
  EXPECT_EQ(seen[2], (std::pair<double, std::string>{0.5, "odd  [31m"}));
}

TEST(CommandProvisioner, GarbageIsAnErrorThatNamesTheMend) {
  Bench bench;
  for (const char* garbage :
       {"echo ready", "true", "head -c 100000 /dev/urandom", "printf '\\377\\376'", "yes | head -c 900000",
        R"(echo '{"id":"shop-a","address":"127.0.0.1:9001"}')", R"(echo '{"id":"b"}')"}) {
    const auto made = bench.run(garbage);
    ASSERT_FALSE(made) << garbage;
    EXPECT_EQ(made.error().code, Code::invalid) << garbage << ": " << made.error().what;
    EXPECT_EQ(bench.record().at("stage"), "begun") << "nothing is known to have been made";
  }
  EXPECT_EQ(bench.run("exec yes").error().code, Code::invalid);
}

TEST(CommandProvisioner, AFailureTellsWhatItSaidLast) {
  Bench bench;
  const auto made = bench.run(R"(echo '{"id":"b","address":"h:1"}'; echo one >&2; echo 'no quota left' >&2; exit 4)");
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, Code::refused);
  EXPECT_NE(made.error().what.find("exit code 4: no quota left"), std::string::npos) << made.error().what;
  bench.settings.argv = {"/no/such/provisioner"};
  EXPECT_EQ(CommandProvisioner(bench.settings).provision(bench.request, {}, {}).error().code, Code::unreachable);
}

pid_t pid_in(const std::string& path) {
  const auto text = io::read_file(path);
  return text && text->ends_with('\n') ? std::atoi(text->c_str()) : 0;
}
bool alive(pid_t pid) { return ::kill(pid, 0) == 0; }

TEST(CommandProvisioner, AHangIsKilledWithAllItStarted) {
  Bench bench;
  bench.settings.timeout = Millis{300};
  const auto made = bench.run("sleep 600 & echo $! > " + bench.dir / "pid" + "; echo waiting for the cloud >&2; wait");
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, Code::timeout);
  EXPECT_NE(made.error().what.find("waiting for the cloud"), std::string::npos) << made.error().what;
  ASSERT_GT(pid_in(bench.dir / "pid"), 0);
  EXPECT_TRUE(eventually([&] { return !alive(pid_in(bench.dir / "pid")); }));
  bench.settings.timeout = Millis{600'000};
  bench.request.timeout = Millis{100};
  EXPECT_EQ(bench.run("sleep 600").error().code, Code::timeout)
      << "the request's own deadline counts when it is sooner";
}

TEST(CommandProvisioner, AProcessLeftBehindIsKilledAndTold) {
  Bench bench;
  const auto made = bench.run("sleep 600 & echo $! > " + bench.dir / "pid" + R"(; echo '{"id":"b","address":"h:1"}')");
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, Code::invalid);
  EXPECT_NE(made.error().what.find("left 1 process"), std::string::npos) << made.error().what;
  EXPECT_NE(made.error().what.find("setsid"), std::string::npos);
  EXPECT_TRUE(eventually([&] { return !alive(pid_in(bench.dir / "pid")); }));
}

TEST(CommandProvisioner, AServiceThatLeftTheGroupStays) {
  Bench bench;
  const auto made =
      bench.run("setsid sh -c 'echo $$ > " + bench.dir / "pid" + "; exec sleep 600' >/dev/null 2>&1 & while [ ! -s " +
                bench.dir / "pid" + R"( ]; do sleep 0.01; done; echo '{"id":"b","address":"h:1"}')");
  ASSERT_TRUE(made) << made.error().what;
  EXPECT_TRUE(alive(pid_in(bench.dir / "pid")));
  ::kill(pid_in(bench.dir / "pid"), SIGKILL);
}

TEST(CommandProvisioner, AStopEndsIt) {
  Bench bench;
  std::stop_source source;
  auto provisioner = bench.up("touch " + bench.dir / "in" + "; sleep 600");
  std::jthread stopper([&] {
    eventually([&] { return std::filesystem::exists(bench.dir / "in"); });
    source.request_stop();
  });
  EXPECT_EQ(provisioner.provision(bench.request, {}, source.get_token()).error().code, Code::cancelled);
}

TEST(CommandProvisioner, DestroysOnlyWhatItMade) {
  Bench bench;
  auto provisioner = bench.good();
  const auto made = provisioner.provision(bench.request, {}, {});
  ASSERT_TRUE(made);
  const auto destroyed = [&] { return std::filesystem::exists(bench.dir / "destroyed"); };
  auto other = *made;
  other.id = "shop-c";
  EXPECT_EQ(provisioner.destroy(bench.request, other, {}).error().code, Code::refused);
  other = *made;
  other.endpoint.port = 9001;
  EXPECT_EQ(provisioner.destroy(bench.request, other, {}).error().code, Code::refused);
  other = *made;
  other.data_dir = "/srv/pg";
  EXPECT_EQ(provisioner.destroy(bench.request, other, {}).error().code, Code::refused);
  auto request = bench.request;
  request.key = "shop-8";
  EXPECT_EQ(provisioner.destroy(request, *made, {}).error().code, Code::refused);
  request = bench.request;
  request.resource = "db";
  EXPECT_EQ(provisioner.destroy(request, *made, {}).error().code, Code::refused);
  request = bench.request;
  request.primary = *made;  // it was promoted meanwhile
  EXPECT_EQ(provisioner.destroy(request, *made, {}).error().code, Code::refused);
  EXPECT_EQ(provisioner.destroy(bench.request, bench.request.primary, {}).error().code, Code::refused);
  EXPECT_FALSE(destroyed());
  ASSERT_TRUE(provisioner.destroy(bench.request, *made, {}));
  EXPECT_TRUE(destroyed());
  const auto asked = json::parse(io::read_file(bench.dir / "destroyed").value());
  EXPECT_EQ(asked.at("action"), "destroy");
  EXPECT_EQ(asked.at("instance").at("id"), "shop-b");
  std::filesystem::remove(bench.dir / "destroyed");
  EXPECT_TRUE(provisioner.destroy(bench.request, *made, {})) << "safe to repeat";
  EXPECT_FALSE(destroyed()) << "but not done twice";
  EXPECT_EQ(provisioner.provision(bench.request, {}, {}).error().code, Code::conflict) << "the key is used up";
}

TEST(CommandProvisioner, AFailedDestroyCanBeTriedAgain) {
  Bench bench;
  bench.settings.destroy = {"sh", "-c", "exit 1"};
  auto failing = bench.good();
  const auto made = failing.provision(bench.request, {}, {});
  EXPECT_EQ(failing.destroy(bench.request, *made, {}).error().code, Code::refused);
  bench.settings.destroy = {"true"};
  EXPECT_TRUE(CommandProvisioner(bench.settings).destroy(bench.request, *made, {}));
}

TEST(CommandProvisioner, ADamagedRecordStopsEverythingUnderItsKey) {
  Bench bench;
  auto provisioner = bench.good();
  const auto made = provisioner.provision(bench.request, {}, {});
  for (const char* damaged :
       {"", "{", "{}",
        R"({"version":1,"key":"shop-9","stage":"made","resource":"shop","addresses":[],"instance":null})"}) {
    std::ofstream(bench.dir / "state/provisioned/shop-7.json") << damaged;
    EXPECT_EQ(provisioner.destroy(bench.request, *made, {}).error().code, Code::corrupt) << damaged;
    EXPECT_EQ(provisioner.provision(bench.request, {}, {}).error().code, Code::corrupt) << damaged;
  }
  EXPECT_FALSE(std::filesystem::exists(bench.dir / "destroyed"));
}

TEST(CommandProvisioner, RebuildsOnlyWhereACommandIsGivenAndNeverWhatServes) {
  Bench bench;
  const Instance dead{.id = "shop-a", .endpoint = {"127.0.0.1", 9001}},
      serving{.id = "shop-b", .endpoint = {"127.0.0.1", 9002}};
  EXPECT_EQ(bench.good().rebuild(bench.request, dead, serving, {}, {}).error().code, Code::refused);
  bench.settings.rebuild = {"sh", "-c",
                            "cat > " + bench.input + R"(; echo '{"id":"shop-a","address":"127.0.0.1:9001"}')"};
  auto provisioner = bench.good();
  const auto rebuilt = provisioner.rebuild(bench.request, dead, serving, {}, {});
  ASSERT_TRUE(rebuilt) << rebuilt.error().what;
  EXPECT_EQ(rebuilt->id, "shop-a");
  const auto asked = json::parse(io::read_file(bench.input).value());
  EXPECT_EQ(asked.at("action"), "rebuild");
  EXPECT_EQ(asked.at("serving").at("id"), "shop-b");
  EXPECT_EQ(provisioner.rebuild(bench.request, serving, serving, {}, {}).error().code, Code::refused);
  bench.settings.rebuild = {"echo", R"({"id":"shop-b","address":"127.0.0.1:9009"})"};
  EXPECT_EQ(bench.good().rebuild(bench.request, dead, serving, {}, {}).error().code, Code::invalid)
      << "it may not answer with what serves";
}

}  // namespace
}  // namespace foreshadow::act
