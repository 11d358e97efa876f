// The service behind every proxy of the benchmark: one thread, one precomposed answer a body size, two system calls a
// request, so that what is measured is the proxy. `GET /N` answers N bytes, `GET /count` how many others were answered.
// With --stall it is the shadow that accepts and never answers: it reads nothing either. With --ledger every write
// (`POST /write` with a Write-Id and no body) is in that file before it is answered, also if we are killed between. It
// never parses more of a request than that and its end, and takes no request bodies.
#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

namespace {

constexpr std::size_t kBodyMax = 16 << 20;
constexpr std::size_t kHeadMax = 64 << 10;

[[noreturn]] void die(const char* what) {
  std::perror(what);
  std::exit(1);
}

std::string make_answer(int status, std::string_view body) {
  return fmt::format(
      "HTTP/1.1 {} {}\r\nContent-Type: application/octet-stream\r\nCache-Control: no-store\r\nContent-Length: "
      "{}\r\n\r\n{}",
      status, status == 200 ? "OK" : "Not Found", body.size(), body);
}

struct Client {
  std::string unread;
  std::string unsent;
};

class Backend {
 public:
  // `ledger`: a file that is open for appending; -1: writes are refused.
  Backend(bool stall, int ledger) : stall_(stall), ledger_(ledger) {
    listener_ = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof at;
    if (listener_ < 0 || bind(listener_, reinterpret_cast<sockaddr*>(&at), length) != 0 ||
        listen(listener_, SOMAXCONN) != 0 || getsockname(listener_, reinterpret_cast<sockaddr*>(&at), &length) != 0)
      die("listen");
    poll_ = epoll_create1(EPOLL_CLOEXEC);
    if (poll_ < 0) die("epoll_create1");
    watch(listener_, EPOLL_CTL_ADD, EPOLLIN);
    port_ = ntohs(at.sin_port);
  }

  int port() const { return port_; }

  void run() {
    std::array<epoll_event, 256> events{};
    for (;;) {
      const int n = epoll_wait(poll_, events.data(), events.size(), -1);
      if (n < 0 && errno != EINTR) die("epoll_wait");
      for (int i = 0; i < n; ++i) {
        const int fd = events[i].data.fd;
        if (fd == listener_)
          accept_all();
        else if (!serve(fd, events[i].events))
          drop(fd);
      }
    }
  }

 private:
  void watch(int fd, int operation, std::uint32_t events) {
    epoll_event event{.events = events, .data = {.fd = fd}};
    if (epoll_ctl(poll_, operation, fd, &event) != 0) die("epoll_ctl");
  }

  void accept_all() {
    for (;;) {
      const int fd = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd < 0) return;
      const int on = 1;
      setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      clients_[fd] = std::make_unique<Client>();
      // A stalled one hears only that the other end has gone.
      watch(fd, EPOLL_CTL_ADD, stall_ ? EPOLLRDHUP : EPOLLIN);
    }
  }

  void drop(int fd) {
    close(fd);
    clients_.erase(fd);
  }

  // False: the connection is over.
  bool serve(int fd, std::uint32_t events) {
    if (stall_) return false;
    auto& client = *clients_.at(fd);
    if (events & EPOLLOUT) {
      if (!flush(fd, client)) return false;
      if (client.unsent.empty()) watch(fd, EPOLL_CTL_MOD, EPOLLIN);
    }
    if (!(events & (EPOLLIN | EPOLLHUP | EPOLLERR))) return true;
    const auto n = recv(fd, buffer_.data(), buffer_.size(), 0);
    if (n < 0) return errno == EAGAIN || errno == EINTR;
    if (n == 0) return false;
    client.unread.append(buffer_.data(), static_cast<std::size_t>(n));
    return answer_all(fd, client);
  }

  bool answer_all(int fd, Client& client) {
    std::string_view rest = client.unread;
    const bool waiting = !client.unsent.empty();
    for (;;) {
      const auto end = rest.find("\r\n\r\n");
      if (end == rest.npos) break;
      client.unsent += answer_to(rest.substr(0, end));
      rest.remove_prefix(end + 4);
    }
    client.unread.erase(0, client.unread.size() - rest.size());
    if (client.unread.size() > kHeadMax) return false;
    if (waiting) return true;
    if (!flush(fd, client)) return false;
    if (!client.unsent.empty()) watch(fd, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
    return true;
  }

  bool flush(int fd, Client& client) {
    if (client.unsent.empty()) return true;
    const auto n = send(fd, client.unsent.data(), client.unsent.size(), MSG_NOSIGNAL);
    if (n < 0) return errno == EAGAIN || errno == EINTR;
    client.unsent.erase(0, static_cast<std::size_t>(n));
    return true;
  }

  const std::string& answer_to(std::string_view head) {
    const auto slash = head.find(' ');
    auto path = slash == head.npos ? std::string_view{} : head.substr(slash + 1);
    path = path.substr(0, path.find(' '));
    if (path == "/count") return counted_ = make_answer(200, std::to_string(answered_));
    if (path == "/write") return note_write(head);
    std::size_t size = 0;
    const auto [end, error] = std::from_chars(path.data() + !path.empty(), path.data() + path.size(), size);
    if (path.size() < 2 || error != std::errc{} || end != path.data() + path.size() || size > kBodyMax)
      return counted_ = make_answer(404, "paths here are /N and /count\n");
    ++answered_;
    auto& answer = answers_[size];
    if (answer.empty()) answer = make_answer(200, std::string(size, 'x'));
    return answer;
  }

  const std::string& note_write(std::string_view head) {
    constexpr std::string_view kName = "\r\nWrite-Id: ";
    const auto at = head.find(kName);
    if (ledger_ < 0 || at == head.npos) return counted_ = make_answer(404, "no ledger, or no Write-Id\n");
    auto id = head.substr(at + kName.size());
    const auto line = fmt::format("{}\n", id.substr(0, id.find("\r\n")));
    if (::write(ledger_, line.data(), line.size()) != static_cast<ssize_t>(line.size())) die("ledger");
    return counted_ = make_answer(200, "");
  }

  const bool stall_;
  const int ledger_;
  int listener_ = -1;
  int poll_ = -1;
  int port_ = 0;
  std::uint64_t answered_ = 0;
  std::string counted_;
  std::map<std::size_t, std::string> answers_;
  std::unordered_map<int, std::unique_ptr<Client>> clients_;
  std::array<char, 64 << 10> buffer_{};
};

}  // namespace

int main(int argc, char** argv) {
  const bool stall = argc == 2 && std::strcmp(argv[1], "--stall") == 0;
  const bool keeps = argc == 3 && std::strcmp(argv[1], "--ledger") == 0;
  if (argc > 1 && !stall && !keeps) {
    fmt::print(stderr, "usage: gateway_bench_backend [--stall | --ledger FILE]\n");
    return 2;
  }
  const int ledger = keeps ? open(argv[2], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644) : -1;
  if (keeps && ledger < 0) die(argv[2]);
  Backend backend(stall, ledger);
  // The port, for whoever started this.
  fmt::print("{}\n", backend.port());
  std::fflush(stdout);
  backend.run();
}
