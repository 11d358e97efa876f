#include "io/socket.hpp"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace foreshadow::io {
namespace {

Result<Fd> stream_socket(int family) {
  Fd fd(::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return fail(Code::io, errno_text("socket"));
  return fd;
}

Result<sockaddr_un> unix_address(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path)
    return fail(Code::invalid, "socket path '" + path + "' has " + std::to_string(path.size()) +
                                   " bytes, allowed are 1 to " + std::to_string(sizeof address.sun_path - 1) +
                                   ": choose a shorter state_dir");
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return address;
}

}  // namespace

Result<Fd> connect_unix(const std::string& path, const Deadline& deadline, const StopEvent& stop) {
  FS_TRY(address, unix_address(path));
  FS_TRY(fd, stream_socket(AF_UNIX));
  for (;;) {
    if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return std::move(fd);
    // Unix sockets say EAGAIN when the listener's queue is full, and then there is nothing to poll for.
    if (errno != EAGAIN && errno != EINTR) return fail(Code::unreachable, errno_text(path));
    if (deadline.passed()) return fail(Code::unreachable, path + ": its queue stayed full; nothing was sent");
    auto waited = await(-1, 0, Deadline::sooner(deadline, Deadline(Millis{5})), stop, path);
    if (!waited && waited.error().code != Code::timeout) return tl::make_unexpected(waited.error());
  }
}

Result<Fd> listen_unix(const std::string& path, unsigned mode) {
  FS_TRY(address, unix_address(path));
  FS_TRY(fd, stream_socket(AF_UNIX));
  // On Linux bind(2) gives the file the mode of the socket itself, less the umask: no moment of wider access, and no
  // change of the umask, which all threads share.
  if (::fchmod(fd.get(), mode) != 0) return fail(Code::io, errno_text("chmod of socket " + path));
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return fail(Code::io, errno_text("bind " + path));
  if (::listen(fd.get(), 128) != 0) return fail(Code::io, errno_text("listen " + path));
  return fd;
}

Result<Fd> connect_tcp(const void* address, unsigned length, const Deadline& deadline, const StopEvent& stop,
                       const std::string& what) {
  const auto* sockaddr_of = static_cast<const sockaddr*>(address);
  FS_TRY(fd, stream_socket(sockaddr_of->sa_family));
  if (::connect(fd.get(), sockaddr_of, length) == 0) return std::move(fd);
  if (errno != EINPROGRESS && errno != EINTR) return fail(Code::unreachable, errno_text("connect to " + what));
  FS_CHECK(await(fd.get(), POLLOUT, deadline, stop, "connect to " + what));
  int error = 0;
  socklen_t size = sizeof error;
  if (::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
  if (error != 0) return fail(Code::unreachable, errno_text("connect to " + what, error));
  return std::move(fd);
}

Result<void> send_all(int fd, std::string_view bytes, const Deadline& deadline, const StopEvent& stop,
                      const std::string& what) {
  while (!bytes.empty()) {
    FS_CHECK(await(fd, POLLOUT, deadline, stop, what));
    const auto n = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n > 0) bytes.remove_prefix(static_cast<std::size_t>(n));
    if (n < 0 && errno != EINTR && errno != EAGAIN) return fail(Code::unreachable, errno_text(what));
  }
  return {};
}

Result<std::size_t> receive_some(int fd, std::string& into, const Deadline& deadline, const StopEvent& stop,
                                 const std::string& what) {
  char buffer[65536];
  for (;;) {
    FS_CHECK(await(fd, POLLIN, deadline, stop, what));
    const auto n = ::recv(fd, buffer, sizeof buffer, 0);
    if (n >= 0) {
      into.append(buffer, static_cast<std::size_t>(n));
      return static_cast<std::size_t>(n);
    }
    if (errno != EINTR && errno != EAGAIN) return fail(Code::unreachable, errno_text(what));
  }
}

}  // namespace foreshadow::io
