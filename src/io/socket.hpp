// Stream sockets with deadlines. Every descriptor is non-blocking and closed on exec; no call here can hang.
#pragma once

#include <string>
#include <string_view>

#include "base/result.hpp"
#include "io/fd.hpp"
#include "io/wait.hpp"

namespace foreshadow::io {

// Errors: invalid (the path does not fit a socket address), unreachable (nobody listens, or its queue stays full).
Result<Fd> connect_unix(const std::string& path, const Deadline& deadline, const StopEvent& stop);
// A listener whose file is `mode` from its first moment. Fails with io where the file exists.
Result<Fd> listen_unix(const std::string& path, unsigned mode);
// Errors: unreachable (refused, no route), timeout, cancelled. `address`: a sockaddr of `length` bytes.
Result<Fd> connect_tcp(const void* address, unsigned length, const Deadline& deadline, const StopEvent& stop,
                       const std::string& what);

// All of it or an error: timeout, cancelled, unreachable (the other side is gone). Never raises SIGPIPE.
Result<void> send_all(int fd, std::string_view bytes, const Deadline& deadline, const StopEvent& stop,
                      const std::string& what);
// Some bytes, appended to `into`; 0 at the end of the stream. Errors as send_all.
Result<std::size_t> receive_some(int fd, std::string& into, const Deadline& deadline, const StopEvent& stop,
                                 const std::string& what);

}  // namespace foreshadow::io
