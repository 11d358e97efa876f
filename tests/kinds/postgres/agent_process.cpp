#include "kinds/postgres/agent_process.hpp"

#include <fmt/format.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <stdexcept>
#include <utility>

#include "act/agent/desk.hpp"
#include "base/log.hpp"
#include "io/rpc.hpp"
#include "kinds/postgres/host_promoter.hpp"
#include "kinds/postgres/host_replicator.hpp"
#include "support/eventually.hpp"

namespace foreshadow::testing {

int serve_as_agent(const std::string& state_dir, const std::string& name) {
  log::init("agent", log::Level::error);
  auto desk = act::Desk::open({.name = name,
                               .state_dir = state_dir,
                               .follow_lease = std::chrono::seconds(2),
                               .ports = [](const std::string& kind, const ResourceId&,
                                           std::map<std::string, std::string> options) -> Result<act::HostPorts> {
                                 if (kind != "postgres") return fail(Code::invalid, "no kind " + kind);
                                 FS_TRY(settings, kinds::postgres::pg_settings(options));
                                 return act::HostPorts{kinds::postgres::host_replicator(settings),
                                                       kinds::postgres::host_promoter(settings)};
                               }});
  if (!desk) {
    fmt::print(stderr, "agent: {}\n", desk.error().what);
    return 1;
  }
  auto server = io::RpcServer::listen(state_dir + "/agent-" + name + ".sock",
                                      [&](const nlohmann::json& request) { return (*desk)->handle(request); });
  if (!server) {
    fmt::print(stderr, "agent: {}\n", server.error().what);
    return 1;
  }
  for (;;) pause();
}

AgentProcess::AgentProcess(std::string state_dir) : state_dir_(std::move(state_dir)) { start(); }
AgentProcess::~AgentProcess() { kill(); }
std::string AgentProcess::socket() const { return state_dir_ + "/agent-test.sock"; }

void AgentProcess::start() {
  kill();
  std::string self = "/proc/self/exe";
  std::string flag = "--agent";
  std::string name = "test";
  char* argv[] = {self.data(), flag.data(), state_dir_.data(), name.data(), nullptr};
  pid_ = fork();
  if (pid_ == 0) {
    execv("/proc/self/exe", argv);
    _exit(127);
  }
  const bool up =
      eventually([&] { return io::rpc_call(socket(), {{"verb", "ping"}}, std::chrono::seconds(2)).has_value(); });
  if (!up) throw std::runtime_error("the agent does not come up");
}

void AgentProcess::kill() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
  pid_ = 0;
}

}  // namespace foreshadow::testing
