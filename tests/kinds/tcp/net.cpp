#include "kinds/tcp/net.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <utility>

namespace foreshadow::kinds::tcp::testing {

namespace {
constexpr timeval kPatience{20, 0};

sockaddr_in at(const char* address, std::uint16_t port) {
  sockaddr_in out{};
  out.sin_family = AF_INET;
  out.sin_port = htons(port);
  EXPECT_EQ(inet_pton(AF_INET, address, &out.sin_addr), 1);
  return out;
}
}  // namespace

Stream::Stream(int fd) : fd_(fd) {
  setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &kPatience, sizeof kPatience);
  setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &kPatience, sizeof kPatience);
  const int one = 1;
  setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

std::optional<Stream> Stream::connect(std::uint16_t port, const std::string& from) {
  Stream stream(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (from != "127.0.0.1") {
    const auto here = at(from.c_str(), 0);
    EXPECT_EQ(bind(stream.fd(), reinterpret_cast<const sockaddr*>(&here), sizeof here), 0);
  }
  const auto there = at("127.0.0.1", port);
  if (::connect(stream.fd(), reinterpret_cast<const sockaddr*>(&there), sizeof there) != 0) return std::nullopt;
  return std::optional<Stream>(std::move(stream));
}

Stream::Stream(Stream&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

Stream::~Stream() {
  if (fd_ >= 0) close(fd_);
}

bool Stream::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const auto n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

std::size_t Stream::send_until_stalled(std::size_t bytes_max, std::chrono::milliseconds stalled) {
  const std::string block(64 << 10, 'x');
  std::size_t sent = 0;
  while (sent < bytes_max) {
    pollfd fd{fd_, POLLOUT, 0};
    if (poll(&fd, 1, static_cast<int>(stalled.count())) == 0) break;
    const auto n = ::send(fd_, block.data(), std::min(block.size(), bytes_max - sent), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno != EAGAIN) break;
    if (n > 0) sent += static_cast<std::size_t>(n);
  }
  return sent;
}

std::optional<std::string> Stream::read_exactly(std::size_t n) {
  std::string out(n, '\0');
  for (std::size_t have = 0; have < n;) {
    const auto got = recv(fd_, out.data() + have, n - have, 0);
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) ADD_FAILURE() << "nothing came in time";
    if (got <= 0) return std::nullopt;
    have += static_cast<std::size_t>(got);
  }
  return out;
}

Stream::Ended Stream::read_to_end(std::string* read) {
  char buffer[65536];
  for (;;) {
    const auto n = recv(fd_, buffer, sizeof buffer, 0);
    if (n == 0) return Ended::orderly;
    if (n < 0) return errno == ECONNRESET ? Ended::by_reset : Ended::not_yet;
    if (read) read->append(buffer, static_cast<std::size_t>(n));
  }
}

void Stream::end_sending() { shutdown(fd_, SHUT_WR); }

void Stream::reset() {
  const linger now{1, 0};
  setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  close(std::exchange(fd_, -1));
}

void echo(Stream& stream) {
  char buffer[65536];
  for (;;) {
    const auto n = recv(stream.fd(), buffer, sizeof buffer, 0);
    if (n <= 0 || !stream.send({buffer, static_cast<std::size_t>(n)})) return;
  }
}

Backend::Backend(std::string name, Handler handler, int at_once)
    : name_(std::move(name)), handler_(std::move(handler)) {
  if (!handler_)
    handler_ = [this](Stream& stream) {
      stream.send(name_);
      echo(stream);
    };
  listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  auto here = at("127.0.0.1", 0);
  socklen_t size = sizeof here;
  EXPECT_EQ(bind(listener_, reinterpret_cast<sockaddr*>(&here), sizeof here), 0);
  EXPECT_EQ(listen(listener_, 512), 0);
  getsockname(listener_, reinterpret_cast<sockaddr*>(&here), &size);
  port_ = ntohs(here.sin_port);
  for (int i = 0; i < at_once; ++i) threads_.emplace_back([this] { work(); });
}

Backend::~Backend() {
  kill();
  for (auto& thread : threads_) thread.join();
  close(listener_);
}

void Backend::handle(Handler handler) {
  const std::lock_guard lock(mutex_);
  handler_ = std::move(handler);
}

void Backend::kill() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = release_ = true;
    shutdown(listener_, SHUT_RDWR);
    for (const int fd : fds_) shutdown(fd, SHUT_RDWR);
  }
  released_.notify_all();
}

void Backend::stall() {
  std::unique_lock lock(mutex_);
  released_.wait(lock, [&] { return release_; });
}

void Backend::release() {
  {
    const std::lock_guard lock(mutex_);
    release_ = true;
  }
  released_.notify_all();
}

void Backend::work() {
  for (;;) {
    const int fd = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    Handler handler;
    {
      const std::lock_guard lock(mutex_);
      if (stopping_) {
        if (fd >= 0) close(fd);
        return;
      }
      if (fd < 0) continue;
      fds_.insert(fd);
      handler = handler_;
    }
    ++accepted_;
    ++open_;
    Stream stream(fd);
    const timeval forever{};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &forever, sizeof forever);
    handler(stream);
    // Off the list before its number can belong to somebody else.
    const std::lock_guard lock(mutex_);
    fds_.erase(fds_.find(fd));
    {
      const Stream closed(std::move(stream));
    }
    --open_;
  }
}

}  // namespace foreshadow::kinds::tcp::testing
