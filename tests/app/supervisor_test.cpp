// `foreshadow run` as init would see it: real processes, killed for real.
#include "app/supervisor.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <thread>

#include "io/rpc.hpp"

extern char** environ;

namespace foreshadow::app {
namespace {

using namespace std::chrono_literals;

bool eventually(const std::function<bool()>& condition, std::chrono::seconds within = 60s) {
  const auto deadline = std::chrono::steady_clock::now() + within;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(10ms);
  }
  return true;
}

int free_port() {
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{
      .sin_family = AF_INET, .sin_port = 0, .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}, .sin_zero = {}};
  socklen_t size = sizeof address;
  EXPECT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&address), size), 0);
  EXPECT_EQ(::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size), 0);
  ::close(fd);
  return ntohs(address.sin_port);
}

// A zombie is dead: where nobody reaps orphans it stays for good.
bool alive(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string text{std::istreambuf_iterator<char>(file), {}};
  const auto name_end = text.rfind(')');
  return pid > 0 && name_end != std::string::npos && name_end + 2 < text.size() && text[name_end + 2] != 'Z';
}

class SupervisorTest : public testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::remove_all(dir_);
    std::filesystem::create_directories(dir_);
    std::ofstream(dir_ / "f.yaml")
        << "version: 1\nstate_dir: state\ngateways: [{name: edge}]\nagents: [{name: local}]\nresources:\n"
           "  - {name: shop, kind: http, listen: \"127.0.0.1:"
        << free_port() << "\", gateways: [edge], primary: {id: a, address: \"127.0.0.1:" << free_port() << "\"}}\n";
  }
  void TearDown() override {
    if (supervisor_ > 0) {
      ::kill(supervisor_, SIGTERM);
      finish();
    }
    std::filesystem::remove_all(dir_);
  }

  void start() {
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, output().c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    auto file = (dir_ / "f.yaml").string();
    std::string name = FORESHADOW_BINARY, verb = "run", flag = "-c";
    char* argv[] = {name.data(), verb.data(), flag.data(), file.data(), nullptr};
    ASSERT_EQ(::posix_spawn(&supervisor_, name.c_str(), &actions, nullptr, argv, environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    ASSERT_TRUE(eventually([&] { return text_of(output()).find("foreshadow: ready: ") != std::string::npos; }));
  }
  int finish() {
    int status = 0;
    EXPECT_TRUE(eventually([&] { return ::waitpid(supervisor_, &status, WNOHANG) == supervisor_; }));
    supervisor_ = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

  std::string output() const { return (dir_ / "out").string(); }
  static std::string text_of(const std::string& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  pid_t pid_of(const std::string& role) const {
    std::ifstream file(dir_ / "state" / (role + ".pid"));
    pid_t pid = 0;
    file >> pid;
    return pid;
  }
  bool answers(const std::string& socket) const {
    const auto answer = io::rpc_call((dir_ / "state" / socket).string(), {{"verb", "ping"}}, Millis{500});
    return answer || (answer.error().code != Code::unreachable && answer.error().code != Code::timeout);
  }

  std::filesystem::path dir_ = std::filesystem::temp_directory_path() / ("fs-run-" + std::to_string(::getpid()));
  pid_t supervisor_ = 0;
};

TEST_F(SupervisorTest, StartsEveryRoleAndStopsThemAll) {
  start();
  const std::vector<std::string> roles{"run", "controller", "gateway-edge", "agent-local"};
  std::vector<pid_t> pids;
  for (const auto& role : roles) {
    pids.push_back(pid_of(role));
    EXPECT_TRUE(alive(pids.back())) << role;
  }
  EXPECT_EQ(pids[0], supervisor_);
  // SIGHUP is no reason to end.
  ::kill(supervisor_, SIGHUP);
  EXPECT_TRUE(answers("controller.sock"));
  ::kill(supervisor_, SIGTERM);
  EXPECT_EQ(finish(), 0);
  for (std::size_t i = 0; i < roles.size(); ++i) {
    EXPECT_FALSE(alive(pids[i])) << roles[i];
    EXPECT_EQ(pid_of(roles[i]), 0) << roles[i];
  }
}

TEST_F(SupervisorTest, AKilledRoleIsBackAndTheOthersNeverNoticed) {
  start();
  const auto controller = pid_of("controller"), gateway = pid_of("gateway-edge"), agent = pid_of("agent-local");
  ::kill(controller, SIGKILL);
  ASSERT_TRUE(eventually(
      [&] { return pid_of("controller") != controller && alive(pid_of("controller")) && answers("controller.sock"); }));
  EXPECT_EQ(pid_of("gateway-edge"), gateway);
  EXPECT_EQ(pid_of("agent-local"), agent);
  ::kill(gateway, SIGKILL);
  ASSERT_TRUE(eventually([&] { return pid_of("gateway-edge") != gateway && answers("gateway-edge.sock"); }));
  EXPECT_TRUE(alive(agent));
}

TEST_F(SupervisorTest, AnUpgradeReplacesTheGatewayOnly) {
  start();
  const auto gateway = pid_of("gateway-edge"), controller = pid_of("controller");
  const auto incarnation = [&] {
    const auto answer = io::rpc_call((dir_ / "state/gateway-edge.sock").string(), {{"verb", "ping"}}, Millis{500});
    return answer ? answer->value("incarnation", "") : std::string();
  };
  const auto before = incarnation();
  ASSERT_FALSE(before.empty());
  ::kill(supervisor_, SIGUSR2);
  EXPECT_TRUE(eventually([&] { return !incarnation().empty() && incarnation() != before; }));
  EXPECT_TRUE(eventually([&] { return !alive(gateway); })) << "nobody was connected, so nothing keeps it";
  EXPECT_NE(pid_of("gateway-edge"), gateway);
  EXPECT_EQ(pid_of("controller"), controller);
  // And again, by the process that took over.
  const auto second = pid_of("gateway-edge");
  ::kill(supervisor_, SIGUSR2);
  EXPECT_TRUE(eventually([&] { return !alive(second); }));
  ::kill(supervisor_, SIGTERM);
  EXPECT_EQ(finish(), 0);
}

TEST_F(SupervisorTest, NoRoleOutlivesAKilledSupervisor) {
  start();
  const auto controller = pid_of("controller"), gateway = pid_of("gateway-edge"), agent = pid_of("agent-local");
  ::kill(supervisor_, SIGKILL);
  EXPECT_EQ(finish(), 128 + SIGKILL);
  EXPECT_TRUE(eventually([&] { return !alive(controller) && !alive(gateway) && !alive(agent); }));
}

TEST_F(SupervisorTest, ASecondOneIsRefused) {
  start();
  const auto first = supervisor_;
  std::string name = FORESHADOW_BINARY, verb = "run", flag = "-c", file = (dir_ / "f.yaml").string();
  char* argv[] = {name.data(), verb.data(), flag.data(), file.data(), nullptr};
  pid_t second = 0;
  ASSERT_EQ(::posix_spawn(&second, name.c_str(), nullptr, nullptr, argv, environ), 0);
  int status = 0;
  ASSERT_TRUE(eventually([&] { return ::waitpid(second, &status, WNOHANG) == second; }));
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 5);
  EXPECT_EQ(pid_of("run"), first);
  EXPECT_TRUE(answers("controller.sock"));
}

TEST(RestartPause, IsNothingFirstAndThenDoublesToTwoSeconds) {
  std::vector<int> pauses;
  for (int i = 0; i < 8; ++i) pauses.push_back(static_cast<int>(restart_pause(i).count()));
  EXPECT_EQ(pauses, (std::vector<int>{0, 100, 200, 400, 800, 1600, 2000, 2000}));
  EXPECT_EQ(restart_pause(1'000'000), Millis{2'000});
}

}  // namespace
}  // namespace foreshadow::app
