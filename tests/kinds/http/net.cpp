#include "kinds/http/net.hpp"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>

namespace foreshadow::kinds::http::testing {

namespace {
constexpr timeval kPatience{20, 0};

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_port = htons(port);
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return at;
}
}  // namespace

Stream::Stream(int fd) : fd_(fd) {
  setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &kPatience, sizeof kPatience);
  setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &kPatience, sizeof kPatience);
  const int one = 1;
  setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

std::optional<Stream> Stream::connect(std::uint16_t port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const auto to = loopback(port);
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0) return Stream(fd);
  close(fd);
  return std::nullopt;
}

Stream::Stream(Stream&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), pending_(std::move(other.pending_)), was_reset_(other.was_reset_) {}

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

bool Stream::more() {
  char buffer[65536];
  const auto n = recv(fd_, buffer, sizeof buffer, 0);
  if (n > 0) pending_.append(buffer, static_cast<std::size_t>(n));
  if (n < 0 && errno == ECONNRESET) was_reset_ = true;
  if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
    ADD_FAILURE() << "nothing came in " << kPatience.tv_sec << " s";
  return n > 0;
}

std::optional<std::string> Stream::read_until(std::string_view mark) {
  std::size_t from = 0;
  for (;;) {
    if (const auto at = pending_.find(mark, from); at != std::string::npos) {
      auto found = pending_.substr(0, at + mark.size());
      pending_.erase(0, at + mark.size());
      return found;
    }
    from = pending_.size() < mark.size() ? 0 : pending_.size() - mark.size();
    if (!more()) return std::nullopt;
  }
}

std::optional<std::string> Stream::read_exactly(std::size_t n) {
  while (pending_.size() < n)
    if (!more()) return std::nullopt;
  auto found = pending_.substr(0, n);
  pending_.erase(0, n);
  return found;
}

std::string Stream::read_all(bool* reset) {
  while (more()) {
  }
  if (reset) *reset = was_reset_;
  return std::exchange(pending_, {});
}

bool Stream::ended() {
  if (!pending_.empty()) return false;
  return !more();
}

void Stream::end_sending() { shutdown(fd_, SHUT_WR); }

void Stream::reset() {
  const linger now{1, 0};
  setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  close(std::exchange(fd_, -1));
}

void Stream::set_receive_buffer(int bytes) { setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes); }

std::optional<Message> read_message(Stream& stream, bool bodyless) {
  auto head = stream.read_until("\r\n\r\n");
  if (!head) return std::nullopt;
  Message message;
  message.head = *head;
  std::size_t at = head->find("\r\n");
  message.start = head->substr(0, at);
  for (at += 2; at + 2 < head->size();) {
    const auto end = head->find("\r\n", at);
    const auto colon = head->find(": ", at);
    auto name = head->substr(at, colon - at);
    std::ranges::transform(name, name.begin(), [](unsigned char c) { return std::tolower(c); });
    message.fields[name] = head->substr(colon + 2, end - colon - 2);
    at = end + 2;
  }
  if (bodyless) return message;
  const bool is_answer = message.start.starts_with("HTTP/");
  if (is_answer && (message.status() < 200 || message.status() == 204 || message.status() == 304)) return message;
  if (message.field("transfer-encoding") == "chunked") {
    for (;;) {
      const auto line = stream.read_until("\r\n");
      if (!line) return std::nullopt;
      const auto size = std::stoul(*line, nullptr, 16);
      if (size == 0) break;
      const auto data = stream.read_exactly(size + 2);
      if (!data) return std::nullopt;
      message.body += data->substr(0, size);
    }
    for (;;) {
      const auto line = stream.read_until("\r\n");
      if (!line) return std::nullopt;
      if (*line == "\r\n") return message;
      message.fields["trailer:" + line->substr(0, line->find(':'))] = line->substr(0, line->size() - 2);
    }
  }
  if (message.fields.contains("content-length")) {
    const auto body = stream.read_exactly(std::stoul(message.field("content-length")));
    if (!body) return std::nullopt;
    message.body = *body;
  } else if (is_answer) {
    message.body = stream.read_all();
  }
  return message;
}

std::string status(int code, const std::string& body) {
  return "HTTP/1.1 " + std::to_string(code) + " X\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
         body;
}

std::string ok(const std::string& body, const std::string& fields) {
  return "HTTP/1.1 200 OK\r\n" + fields + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

Backend::Backend(std::string name, Handler handler) : name_(std::move(name)), handler_(std::move(handler)) {
  if (!handler_) handler_ = [this](const Message& m, Stream&) { return Reply{ok(name_ + " " + m.target())}; };
  listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  auto at = loopback(0);
  socklen_t size = sizeof at;
  EXPECT_EQ(bind(listener_, reinterpret_cast<sockaddr*>(&at), sizeof at), 0);
  EXPECT_EQ(listen(listener_, 512), 0);
  getsockname(listener_, reinterpret_cast<sockaddr*>(&at), &size);
  port_ = ntohs(at.sin_port);
  acceptor_ = std::thread([this] { accept(); });
}

Backend::~Backend() { end(); }

void Backend::end() {
  kill();
  for (auto& thread : threads_) thread.join();
  threads_.clear();
}

void Backend::handle_arrivals(std::function<int(int)> arrive) {
  const std::lock_guard lock(mutex_);
  arrive_ = std::move(arrive);
}

void Backend::handle(Handler handler) {
  const std::lock_guard lock(mutex_);
  handler_ = std::move(handler);
}

void Backend::handle_connections(std::function<void(Stream&)> handler) {
  const std::lock_guard lock(mutex_);
  raw_ = std::move(handler);
}

std::vector<Message> Backend::requests() const {
  const std::lock_guard lock(mutex_);
  return requests_;
}

std::size_t Backend::count() const {
  const std::lock_guard lock(mutex_);
  return requests_.size();
}

void Backend::kill() {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return;
    stopping_ = true;
    release_ = true;
    shutdown(listener_, SHUT_RDWR);
    for (const int fd : fds_) shutdown(fd, SHUT_RDWR);
  }
  released_.notify_all();
  acceptor_.join();
  close(listener_);
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

void Backend::accept() {
  for (;;) {
    const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    const std::lock_guard lock(mutex_);
    if (fd < 0 || stopping_) {
      if (fd >= 0) close(fd);
      if (stopping_) return;
      continue;
    }
    ++accepted_;
    ++open_;
    fds_.push_back(fd);
    threads_.emplace_back([this, fd] { serve(fd); });
  }
}

void Backend::serve(int fd) {
  std::function<int(int)> arrive;
  {
    const std::lock_guard lock(mutex_);
    arrive = arrive_;
  }
  if (const int inner = arrive ? arrive(fd) : dup(fd); inner >= 0) {
    // Idle as long as the gateway likes.
    Stream stream(inner);
    const timeval forever{};
    setsockopt(inner, SOL_SOCKET, SO_RCVTIMEO, &forever, sizeof forever);
    std::function<void(Stream&)> raw;
    {
      const std::lock_guard lock(mutex_);
      raw = raw_;
    }
    if (raw) raw(stream);
    while (!raw) {
      auto request = read_message(stream);
      if (!request) break;
      Handler handler;
      {
        const std::lock_guard lock(mutex_);
        requests_.push_back(*request);
        handler = handler_;
      }
      const auto reply = handler(*request, stream);
      if (stream.fd() < 0 || (!reply.bytes.empty() && !stream.send(reply.bytes)) || reply.close) break;
    }
  }
  const std::lock_guard lock(mutex_);
  --open_;
  fds_.remove(fd);
  close(fd);
}

}  // namespace foreshadow::kinds::http::testing
