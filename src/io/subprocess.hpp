// Runs a program: an argument vector, never a shell; a clean environment; a deadline; its own process group, which is
// killed as a whole. The child dies with us (PR_SET_PDEATHSIG), so that a stale controller leaves nothing acting
// behind.
#pragma once

#include <sys/types.h>

#include <functional>
#include <map>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "base/time.hpp"

namespace foreshadow::io {

struct Command {
  std::vector<std::string> argv;  // argv[0] is looked up in PATH unless it holds a '/'
  // The whole environment besides PATH, HOME, LANG=C.UTF-8 and TZ=UTC.
  std::map<std::string, std::string> environment;
  std::string working_dir;
  std::string standard_input;
  Millis timeout{60'000};
  std::size_t output_max = 1 << 20;  // of each stream; past it the group is killed and the result is an error
  std::optional<uid_t> uid;          // run as this user (supplementary groups dropped); needs root
  std::optional<gid_t> gid;
  // Called with each line of standard error (or output) as it comes, for progress; on the calling thread.
  std::function<void(const std::string&)> on_stderr_line;
  std::function<void(const std::string&)> on_stdout_line;
  // When not zero: at the deadline or a stop the group first gets SIGINT and this long to save what it holds, as
  // Terraform saves its state. It is not given when we die ourselves.
  Millis interrupt_grace{0};
};

struct Finished {
  int exit_code = 0;  // 128 + signal when killed by one
  std::string out;
  std::string err;
  // Processes of the group still there when the program had exited; they were killed. A service meant to stay must
  // leave the group (setsid), as every daemon does.
  int leftover = 0;
  Millis took{0};
};

// Blocks the calling thread. Errors: unreachable (no such program), timeout, cancelled, io. A non-zero exit is not an
// error.
Result<Finished> run(const Command& command, std::stop_token stop = {});

}  // namespace foreshadow::io
