#include "load/http_client.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <deque>
#include <optional>
#include <stdexcept>
#include <vector>

#include "load/http_response.hpp"

namespace load {
namespace {

constexpr Micros housekeeping{50'000};

struct Request {
  Arrival arrival;
  bool write = false;
  std::string op;
};

struct Connection {
  int fd = -1;
  bool connecting = false;
  std::optional<Request> request;  // at most one on a connection: no pipelining
  std::string to_send;
  std::string received;
};

class Client {
 public:
  Client(const HttpLoad& load, Recorder& recorder)
      : load_(load),
        recorder_(recorder),
        schedule_(load.rate_per_s, load.length, load.seed),
        connections_(static_cast<std::size_t>(load.connections)) {
    poller_ = epoll_create1(EPOLL_CLOEXEC);
    if (poller_ < 0) throw std::runtime_error(std::string("epoll: ") + std::strerror(errno));
    address_.sin_family = AF_INET;
    address_.sin_port = htons(static_cast<std::uint16_t>(load.port));
    if (inet_pton(AF_INET, load.host.c_str(), &address_.sin_addr) != 1)
      throw std::runtime_error("'" + load.host + "' is not an IPv4 address");
  }
  ~Client() {
    for (auto& c : connections_)
      if (c.fd >= 0) ::close(c.fd);
    ::close(poller_);
  }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  void run() {
    bool stopped = false;
    Micros next_housekeeping{0};
    while (true) {
      const auto now = recorder_.now();
      if (now >= next_housekeeping) {
        next_housekeeping = now + housekeeping;
        stopped = stopped || load_.stop();
        load_.tick();
        expire(now);
      }
      while (!stopped && !schedule_.done() && schedule_.next().due <= now) {
        due_.push_back(make_request(schedule_.next()));
        schedule_.advance();
      }
      dispatch();
      if ((stopped || schedule_.done()) && due_.empty() && outstanding_ == 0) return;
      const auto wake =
          stopped || schedule_.done() ? next_housekeeping : std::min(next_housekeeping, schedule_.next().due);
      poll(wake);
    }
  }

 private:
  Request make_request(const Arrival& arrival) const {
    // The high half chooses what it is, the low half which product.
    const double share = static_cast<double>(arrival.choice >> 32) / 4294967296.0;
    Request request{arrival, share < load_.write_share, {}};
    if (request.write) request.op = fmt::format("h{}-{}", load_.seed, arrival.seq);
    return request;
  }

  std::string wire(const Request& request) const {
    const auto draw = static_cast<std::uint32_t>(request.arrival.choice);
    if (!request.write)
      return fmt::format("GET /products/{} HTTP/1.1\r\nHost: {}:{}\r\n\r\n",
                         draw % static_cast<std::uint32_t>(load_.products) + 1, load_.host, load_.port);
    const auto body = fmt::format(R"({{"op":"{}","amount":{}}})", request.op, draw % 1000 + 1);
    return fmt::format(
        "POST /orders HTTP/1.1\r\nHost: {}:{}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{}",
        load_.host, load_.port, body.size(), body);
  }

  // Oldest first, onto idle connections, then onto new ones.
  void dispatch() {
    while (!due_.empty()) {
      auto it = std::ranges::find_if(connections_, [](const Connection& c) { return c.fd >= 0 && !c.request; });
      if (it == connections_.end())
        it = std::ranges::find_if(connections_, [](const Connection& c) { return c.fd < 0; });
      if (it == connections_.end()) return;
      auto request = std::move(due_.front());
      due_.pop_front();
      it->to_send = wire(request);
      it->request = std::move(request);
      ++outstanding_;
      if (it->fd < 0 && !open(*it)) continue;
      if (!it->connecting) send(*it);
    }
  }

  bool open(Connection& c) {
    c.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c.fd < 0) {
      fail(c, "connection");
      return false;
    }
    const int yes = 1;
    setsockopt(c.fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    if (connect(c.fd, reinterpret_cast<const sockaddr*>(&address_), sizeof address_) == 0) {
      c.connecting = false;
    } else if (errno == EINPROGRESS) {
      c.connecting = true;
    } else {
      fail(c, errno == ECONNREFUSED ? "refused" : "connection");
      return false;
    }
    watch(c, EPOLL_CTL_ADD);
    return true;
  }

  void watch(Connection& c, int operation) {
    const bool writing = c.connecting || !c.to_send.empty();
    epoll_event event{.events = EPOLLIN | EPOLLRDHUP | (writing ? static_cast<std::uint32_t>(EPOLLOUT) : 0U),
                      .data = {}};
    event.data.ptr = &c;
    epoll_ctl(poller_, operation, c.fd, &event);
  }

  void send(Connection& c) {
    while (!c.to_send.empty()) {
      const auto n = ::send(c.fd, c.to_send.data(), c.to_send.size(), MSG_NOSIGNAL);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0 && errno != EAGAIN) return fail(c, "reset");
      if (n < 0) break;
      c.to_send.erase(0, static_cast<std::size_t>(n));
    }
    watch(c, EPOLL_CTL_MOD);
  }

  void poll(Micros wake) {
    std::array<epoll_event, 64> events;
    const auto wait = std::max(wake - recorder_.now(), Micros{0});
    const timespec timeout{wait.count() / 1'000'000, (wait.count() % 1'000'000) * 1000};
    const int n = epoll_pwait2(poller_, events.data(), static_cast<int>(events.size()), &timeout, nullptr);
    for (int i = 0; i < n; ++i) ready(*static_cast<Connection*>(events[static_cast<std::size_t>(i)].data.ptr));
  }

  void ready(Connection& c) {
    if (c.fd < 0) return;
    if (c.connecting) {
      int error = 0;
      socklen_t length = sizeof error;
      getsockopt(c.fd, SOL_SOCKET, SO_ERROR, &error, &length);
      if (error != 0) return fail(c, error == ECONNREFUSED ? "refused" : "connection");
      c.connecting = false;
    }
    if (!c.to_send.empty()) {
      send(c);
      if (c.fd < 0) return;
    }
    receive(c);
  }

  void receive(Connection& c) {
    std::array<char, 16 << 10> chunk;
    while (true) {
      const auto n = recv(c.fd, chunk.data(), chunk.size(), 0);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0 && errno == EAGAIN) return;
      if (n <= 0) return fail(c, c.request ? "reset" : "dropped");
      c.received.append(chunk.data(), static_cast<std::size_t>(n));
      if (!take_response(c)) return;
    }
  }

  // False once the connection is gone.
  bool take_response(Connection& c) {
    HttpResponse response;
    std::size_t used = 0;
    switch (read_response(c.received, response, used)) {
      case Reading::incomplete:
        return true;
      case Reading::bad:
        fail(c, "protocol");
        return false;
      case Reading::complete:
        break;
    }
    // An answer nobody asked for, or asked for and already here before the request was out.
    if (!c.request || !c.to_send.empty()) {
      fail(c, "protocol");
      return false;
    }
    c.received.erase(0, used);
    const int wanted = c.request->write ? 201 : 200;
    if (response.status == wanted)
      finish(c, {});
    else
      finish(c, fmt::format("status_{}", response.status));
    if (!response.keep_alive) {
      close(c);
      return false;
    }
    return true;
  }

  void finish(Connection& c, std::optional<std::string> failure) {
    const auto& request = *c.request;
    if (request.write && !failure) recorder_.acknowledged(request.op);
    recorder_.record({request.write ? "write" : "read", request.arrival.due, recorder_.now(), std::move(failure)});
    c.request.reset();
    --outstanding_;
  }

  // The connection is lost, and with it the request on it, if there is one.
  void fail(Connection& c, const std::string& why) {
    if (c.request)
      finish(c, why);
    else
      recorder_.failed_connection(why);
    close(c);
  }

  void close(Connection& c) {
    if (c.fd >= 0) ::close(c.fd);
    c = {};
  }

  void expire(Micros now) {
    for (auto& c : connections_)
      if (c.request && now - c.request->arrival.due > load_.timeout) fail(c, "timeout");
    while (!due_.empty() && now - due_.front().arrival.due > load_.timeout) {
      const auto& request = due_.front();
      recorder_.record({request.write ? "write" : "read", request.arrival.due, now, "timeout"});
      due_.pop_front();
    }
  }

  const HttpLoad& load_;
  Recorder& recorder_;
  Schedule schedule_;
  sockaddr_in address_{};
  int poller_ = -1;
  std::vector<Connection> connections_;
  std::deque<Request> due_;  // due, but no connection is free; bounded by the timeout
  int outstanding_ = 0;
};

}  // namespace

void run_http_load(const HttpLoad& load, Recorder& recorder) {
  Client client(load, recorder);
  recorder.start();
  client.run();
}

}  // namespace load
