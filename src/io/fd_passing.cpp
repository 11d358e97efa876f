#include "io/fd_passing.hpp"

#include <fmt/format.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "io/socket.hpp"

namespace foreshadow::io {
namespace {

constexpr std::size_t kLineMax = 64 << 10;
constexpr const char* kWhat = "passing descriptors";

// One byte carries the descriptors; the rest of the line follows as plain bytes.
Result<void> send_first(int socket, char first, const std::vector<int>& fds, const Deadline& deadline,
                        const StopEvent& stop) {
  iovec part{&first, 1};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  std::vector<char> control(CMSG_SPACE(sizeof(int) * fds.size()));
  if (!fds.empty()) {
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int) * fds.size());
    std::memcpy(CMSG_DATA(header), fds.data(), sizeof(int) * fds.size());
  }
  for (;;) {
    if (::sendmsg(socket, &message, MSG_NOSIGNAL) == 1) return {};
    if (errno == EINTR) continue;
    if (errno != EAGAIN) return fail(Code::unreachable, errno_text(kWhat));
    FS_CHECK(await(socket, POLLOUT, deadline, stop, kWhat));
  }
}

Result<bool> receive_first(int socket, Passed& into) {
  char byte = 0;
  iovec part{&byte, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kPassedMax)];
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  const auto n = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return false;
  if (n < 0) return fail(Code::unreachable, errno_text(kWhat));
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    const auto count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof fd);
      into.fds.emplace_back(fd);
    }
  }
  if (message.msg_flags & MSG_CTRUNC) return fail(Code::invalid, "descriptors were cut off: too many are open here");
  if (n == 0) return fail(Code::unreachable, std::string(kWhat) + ": the other side closed");
  into.line += byte;
  return true;
}

}  // namespace

Result<void> send_with_fds(int socket, std::string_view line, const std::vector<int>& fds, const Deadline& deadline,
                           const StopEvent& stop) {
  if (fds.size() > kPassedMax) return fail(Code::invalid, fmt::format("at most {} descriptors at once", kPassedMax));
  const std::string text = std::string(line) + '\n';
  FS_CHECK(send_first(socket, text.front(), fds, deadline, stop));
  return send_all(socket, std::string_view(text).substr(1), deadline, stop, kWhat);
}

Result<Passed> receive_with_fds(int socket, const Deadline& deadline, const StopEvent& stop) {
  Passed out;
  // A byte at a time: these lines are short and rare, and nothing behind one may be taken with it.
  for (;;) {
    FS_TRY(got, receive_first(socket, out));
    if (!got) {
      FS_CHECK(await(socket, POLLIN, deadline, stop, kWhat));
      continue;
    }
    if (out.line.back() == '\n') {
      out.line.pop_back();
      return out;
    }
    if (out.line.size() > kLineMax) return fail(Code::invalid, std::string(kWhat) + ": the line is too long");
  }
}

}  // namespace foreshadow::io
