#include "app/supervisor.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/log.hpp"
#include "io/files.hpp"
#include "io/rpc.hpp"

namespace foreshadow::app {
namespace {

using Steady = std::chrono::steady_clock;

constexpr Millis kPauseFirst{100};
constexpr Millis kPauseMax{2'000};
constexpr Millis kQuiet{10'000};
// Longer than the gateway's own drain, so that only a hung role is killed.
constexpr Millis kStopWait{10'000};
constexpr Millis kPingEvery{50};
constexpr Millis kPingWait{200};
// For one gateway of an upgrade; the same as `foreshadow upgrade` waits.
constexpr std::chrono::seconds kReplaceWithin{30};

// What a child may see of our environment: enough to run programs, and what sanitizers and profilers are told.
std::vector<std::string> clean_environment() {
  std::vector<std::string> out{"LANG=C.UTF-8", "TZ=UTC"};
  for (const auto* name :
       {"PATH", "HOME", "ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS", "LSAN_OPTIONS", "LLVM_PROFILE_FILE"})
    if (const char* value = std::getenv(name)) out.push_back(fmt::format("{}={}", name, value));
  return out;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> out;
  for (auto& text : texts) out.push_back(text.data());
  out.push_back(nullptr);
  return out;
}

// Where our binary is: after an upgrade another one lies there, which is what roles are then started from.
std::string program_path() {
  std::error_code error;
  const auto path = std::filesystem::read_symlink("/proc/self/exe", error);
  return error ? "/proc/self/exe" : path.string();
}

class Child {
 public:
  Child(const RoleProcess& role, std::string state_dir, std::string program)
      : role_(role), program_(std::move(program)), pid_file_(state_dir + "/" + role.name + ".pid") {}

  const RoleProcess& role() const { return role_; }
  pid_t pid() const { return pid_; }
  bool running() const { return pid_ > 0; }
  std::optional<Steady::time_point> due() const { return due_; }

  Result<void> start(std::vector<char*>& environment, const sigset_t& unblocked) {
    std::vector<std::string> args{"foreshadow"};
    args.insert(args.end(), role_.args.begin(), role_.args.end());
    auto argv = pointers(args);
    const pid_t parent = ::getpid();
    const pid_t pid = ::fork();
    if (pid < 0) return fail(Code::io, fmt::format("fork: {}", std::strerror(errno)));
    if (pid == 0) {
      // Between fork and exec only calls that are safe there.
      ::prctl(PR_SET_PDEATHSIG, SIGTERM);
      if (::getppid() != parent) ::_exit(1);  // it died before the line above
      ::setpgid(0, 0);                        // a terminal's Ctrl-C reaches us alone, and we stop them in order
      ::signal(SIGHUP, SIG_DFL);
      ::sigprocmask(SIG_SETMASK, &unblocked, nullptr);
      ::execve(program_.c_str(), argv.data(), environment.data());
      ::execve("/proc/self/exe", argv.data(), environment.data());  // it was moved away: rather the old one than none
      ::_exit(127);
    }
    pid_ = pid;
    started_ = Steady::now();
    due_.reset();
    return io::write_file_durably(pid_file_, fmt::format("{}\n", pid), 0644);
  }

  void died(int status) {
    const auto lived = std::chrono::duration_cast<Millis>(Steady::now() - started_);
    if (lived >= kQuiet) restarts_ = 0;
    const auto pause = restart_pause(restarts_++);
    log::warn("{} (pid {}) {} after {} ms; it is started again in {} ms", role_.name, pid_,
              WIFSIGNALED(status) ? fmt::format("was killed by signal {}", WTERMSIG(status))
                                  : fmt::format("ended with code {}", WEXITSTATUS(status)),
              lived.count(), pause.count());
    pid_ = 0;
    due_ = Steady::now() + pause;
  }
  // The one that runs goes on beside the one that is started now, until that has taken over and its own sessions have
  // ended. Where the new one fails, the old one serves on.
  void replace() {
    if (!running()) return;
    retiring_.push_back(pid_);
    pid_ = 0;
    restarts_ = 0;
    due_ = Steady::now();
  }
  bool retired(pid_t pid) { return std::erase(retiring_, pid) > 0; }
  std::vector<pid_t> processes() const {
    auto all = retiring_;
    if (running()) all.push_back(pid_);
    return all;
  }
  void stopped() {
    pid_ = 0;
    due_.reset();
    std::error_code ignored;
    std::filesystem::remove(pid_file_, ignored);
  }

 private:
  const RoleProcess& role_;
  std::string program_;
  std::string pid_file_;
  std::vector<pid_t> retiring_;
  pid_t pid_ = 0;
  Steady::time_point started_;
  std::optional<Steady::time_point> due_;  // of the next start
  int restarts_ = 0;
};

class Supervisor {
 public:
  Supervisor(const config::Config& config, const std::vector<RoleProcess>& roles)
      : config_(config), environment_text_(clean_environment()), environment_(pointers(environment_text_)) {
    const auto program = program_path();
    for (const auto& role : roles) children_.emplace_back(role, config.state_dir, program);
    sigemptyset(&waited_);
    for (const int signal : {SIGTERM, SIGINT, SIGCHLD, SIGUSR2}) sigaddset(&waited_, signal);
    ::sigprocmask(SIG_BLOCK, &waited_, &before_);
    ::signal(SIGHUP, SIG_IGN);
  }
  ~Supervisor() { ::sigprocmask(SIG_SETMASK, &before_, nullptr); }

  Result<void> run() {
    for (auto& child : children_)
      if (auto started = child.start(environment_, before_); !started) {
        stop_all();
        return started;
      }
    while (!stopping_) {
      announce_when_ready();
      wait_for_signal(next_wait());
      reap();
      if (!stopping_) go_on_upgrading();
      for (auto& child : children_)
        if (!stopping_ && child.due() && *child.due() <= Steady::now())
          if (auto started = child.start(environment_, before_); !started)
            log::error("{}: {}", child.role().name, started.error().what);
    }
    stop_all();
    return {};
  }

 private:
  Millis next_wait() const {
    Millis wait = announced_ && !replacing_ && to_replace_.empty() ? Millis{60'000} : kPingEvery;
    for (const auto& child : children_)
      if (child.due())
        wait = std::min(wait, std::max(Millis{1}, std::chrono::ceil<Millis>(*child.due() - Steady::now())));
    return wait;
  }

  void wait_for_signal(Millis at_most) {
    const timespec wait{at_most.count() / 1000, (at_most.count() % 1000) * 1'000'000};
    const int signal = ::sigtimedwait(&waited_, nullptr, &wait);
    if (signal == SIGTERM || signal == SIGINT) stopping_ = true;
    if (signal == SIGUSR2 && !stopping_) upgrade();
  }

  // One after the other: should the new binary be unable to serve, the others go on with the old one.
  void upgrade() {
    to_replace_.clear();
    for (auto& child : children_)
      if (child.role().takes_over) to_replace_.push_back(&child);
    replacing_.reset();
  }

  void go_on_upgrading() {
    if (replacing_) {
      const auto answers = incarnation_of(replacing_->child->role());
      const bool replaced = !answers.empty() && answers != replacing_->incarnation;
      if (!replaced && Steady::now() < replacing_->until) return;
      const auto name = replacing_->child->role().name;
      if (!replaced) {
        log::error("{} was not replaced within {} s; those after it are left as they are", name,
                   kReplaceWithin.count());
        to_replace_.clear();
      } else {
        log::info("{} (pid {}) has replaced the one before it", name, replacing_->child->pid());
      }
      replacing_.reset();
    }
    if (to_replace_.empty()) return;
    auto* next = to_replace_.front();
    to_replace_.erase(to_replace_.begin());
    // One that is down right now is started from the new binary anyway.
    if (!next->running()) return;
    log::info("{} (pid {}) is replaced", next->role().name, next->pid());
    replacing_ = Replacing{next, incarnation_of(next->role()), Steady::now() + kReplaceWithin};
    next->replace();
  }

  static std::string incarnation_of(const RoleProcess& role) {
    const auto answer = io::rpc_call(role.socket, {{"verb", "ping"}}, kPingWait);
    return answer ? answer->value("incarnation", "") : "";
  }

  // `restart` false: they were told to stop.
  void reap(bool restart = true) {
    int status = 0;
    for (pid_t pid = ::waitpid(-1, &status, WNOHANG); pid > 0; pid = ::waitpid(-1, &status, WNOHANG))
      for (auto& child : children_)
        if (child.pid() == pid) {
          restart ? child.died(status) : child.stopped();
        } else {
          child.retired(pid);
        }
  }

  void announce_when_ready() {
    if (announced_) return;
    for (const auto& child : children_) {
      const auto answer = io::rpc_call(child.role().socket, {{"verb", "ping"}}, kPingWait);
      // An agent or an older role may not know the verb; that it answers is enough.
      if (!answer && (answer.error().code == Code::unreachable || answer.error().code == Code::timeout)) return;
    }
    announced_ = true;
    std::vector<std::string> parts;
    for (const auto& child : children_) parts.push_back(fmt::format("{} ({})", child.role().name, child.pid()));
    for (const auto& resource : config_.resources)
      for (const auto& gateway : resource.resource.gateways) {
        auto part = fmt::format("{} at {}", resource.resource.id, resource.listen_at(gateway).text());
        if (std::find(parts.begin(), parts.end(), part) == parts.end()) parts.push_back(std::move(part));
      }
    fmt::print("foreshadow: ready: {}\n", fmt::join(parts, ", "));
    std::fflush(stdout);
  }

  void stop_all() {
    std::vector<int> orders;
    for (const auto& child : children_) orders.push_back(child.role().stop_order);
    std::sort(orders.begin(), orders.end());
    orders.erase(std::unique(orders.begin(), orders.end()), orders.end());
    for (const int order : orders) stop_group(order);
  }

  void stop_group(int order) {
    const auto alive = [&] {
      return std::any_of(children_.begin(), children_.end(),
                         [&](const Child& c) { return c.role().stop_order == order && !c.processes().empty(); });
    };
    const auto signal_all = [&](int signal) {
      for (auto& child : children_)
        if (child.role().stop_order == order)
          for (const pid_t pid : child.processes()) ::kill(pid, signal);
    };
    signal_all(SIGTERM);
    for (const auto deadline = Steady::now() + kStopWait; alive() && Steady::now() < deadline;) {
      wait_for_signal(Millis{100});
      reap(false);
    }
    if (!alive()) return;
    log::warn("not stopped within {} ms, killed", kStopWait.count());
    signal_all(SIGKILL);
    while (alive()) {
      wait_for_signal(Millis{100});
      reap(false);
    }
  }

  const config::Config& config_;
  std::vector<std::string> environment_text_;
  std::vector<char*> environment_;
  std::vector<Child> children_;
  sigset_t waited_{};
  sigset_t before_{};
  struct Replacing {
    Child* child;
    std::string incarnation;  // of the one before
    Steady::time_point until;
  };
  std::vector<Child*> to_replace_;
  std::optional<Replacing> replacing_;
  bool stopping_ = false;
  bool announced_ = false;
};

}  // namespace

std::vector<RoleProcess> roles_of(const config::Config& config, const std::string& config_file) {
  const auto file = std::filesystem::absolute(config_file).lexically_normal().string();
  std::vector<RoleProcess> roles;
  for (const auto& name : config.gateways)
    roles.push_back({"gateway-" + name,
                     {"gateway", "-c", file, "--name", name, "--take-over"},
                     config.gateway_socket(name),
                     2,
                     true});
  for (const auto& name : config.agents)
    roles.push_back({"agent-" + name, {"agent", "-c", file, "--name", name}, config.agent_socket(name), 1});
  roles.push_back({"controller", {"controller", "-c", file}, config.controller_socket(), 0});
  return roles;
}

Millis restart_pause(int restarts) {
  if (restarts == 0) return Millis{0};
  return std::min(kPauseMax, kPauseFirst * (1 << std::min(restarts - 1, 10)));
}

Result<void> supervise(const config::Config& config, const std::vector<RoleProcess>& roles) {
  FS_CHECK(io::make_directory(config.state_dir));
  FS_TRY(lock, io::FileLock::take(config.state_dir + "/run.lock"));
  const auto pid_file = config.state_dir + "/run.pid";
  FS_CHECK(io::write_file_durably(pid_file, fmt::format("{}\n", ::getpid()), 0644));
  auto result = Supervisor(config, roles).run();
  std::error_code ignored;
  std::filesystem::remove(pid_file, ignored);
  return result;
}

}  // namespace foreshadow::app
