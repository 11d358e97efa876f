// Open descriptors that travel over a Unix stream socket with a line of text: unix(7), SCM_RIGHTS. How a process hands
// its listening sockets to the one that replaces it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "io/fd.hpp"
#include "io/wait.hpp"

namespace foreshadow::io {

// The kernel's own bound on one message (SCM_MAX_FD).
inline constexpr std::size_t kPassedMax = 253;

// The line must not hold a line feed; one is added. The descriptors stay open here too. Errors: invalid (too many),
// timeout, cancelled, unreachable (the other side is gone).
Result<void> send_with_fds(int socket, std::string_view line, const std::vector<int>& fds, const Deadline& deadline,
                           const StopEvent& stop);

struct Passed {
  std::string line;
  std::vector<Fd> fds;  // closed on exec
};
// One line and whatever came with it. Errors: timeout, cancelled, unreachable (closed before a line came), invalid (a
// line too long, or descriptors that were cut off).
Result<Passed> receive_with_fds(int socket, const Deadline& deadline, const StopEvent& stop);

}  // namespace foreshadow::io
