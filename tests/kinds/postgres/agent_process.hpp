// A real agent in a process of its own, so that a test can kill it between any two steps.
#pragma once

#include <sys/types.h>

#include <string>

namespace foreshadow::testing {

int serve_as_agent(const std::string& state_dir, const std::string& name);

class AgentProcess {
 public:
  explicit AgentProcess(std::string state_dir);
  ~AgentProcess();
  AgentProcess(const AgentProcess&) = delete;
  AgentProcess& operator=(const AgentProcess&) = delete;
  void start();
  // SIGKILL; returns when it is gone.
  void kill();
  pid_t pid() const { return pid_; }
  std::string socket() const;

 private:
  std::string state_dir_;
  pid_t pid_ = 0;
};

}  // namespace foreshadow::testing
