#include "shop/server.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <stdexcept>

namespace shop {
namespace {

std::runtime_error failure(const std::string& what) { return std::runtime_error(what + ": " + std::strerror(errno)); }

sockaddr_in address_of(const std::string& listen) {
  const auto colon = listen.rfind(':');
  sockaddr_in address{};
  address.sin_family = AF_INET;
  if (colon == std::string::npos || inet_pton(AF_INET, listen.substr(0, colon).c_str(), &address.sin_addr) != 1)
    throw std::runtime_error("'" + listen + "' is not an IPv4 address:port, such as 127.0.0.1:9001");
  const auto digits = listen.substr(colon + 1);
  if (digits.empty() || digits.size() > 5 || digits.find_first_not_of("0123456789") != std::string::npos ||
      std::stoi(digits) > 65535)
    throw std::runtime_error("'" + digits + "' is not a port");
  address.sin_port = htons(static_cast<std::uint16_t>(std::stoi(digits)));
  return address;
}

// A blocking send with a limit: answers are small, and a client that will not read may not keep a worker.
bool send_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const auto n = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

}  // namespace

struct Server::Connection {
  int fd = -1;
  std::string received;
};

Server::Server(const std::string& listen, int threads, const ServiceSettings& settings) : settings_(settings) {
  auto address = address_of(listen);
  listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  const int yes = 1;
  setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  if (bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 || ::listen(listener_, 1024) != 0)
    throw failure("cannot listen on " + listen);
  socklen_t length = sizeof address;
  getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &length);
  port_ = ntohs(address.sin_port);
  poller_ = epoll_create1(EPOLL_CLOEXEC);
  wake_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (poller_ < 0 || wake_ < 0) throw failure("epoll");
  epoll_event event{.events = EPOLLIN, .data = {.fd = listener_}};
  event.data.ptr = &listener_;
  epoll_ctl(poller_, EPOLL_CTL_ADD, listener_, &event);
  event.data.ptr = &wake_;
  epoll_ctl(poller_, EPOLL_CTL_ADD, wake_, &event);
  for (int i = 0; i < threads; ++i) workers_.emplace_back([this] { work(); });
}

Server::~Server() {
  stop();
  for (const int fd : {listener_, poller_, wake_})
    if (fd >= 0) ::close(fd);
}

void Server::stop() {
  stopping_ = true;
  const std::uint64_t one = 1;
  // Never drained: every worker must see it.
  [[maybe_unused]] const auto written = write(wake_, &one, sizeof one);
  workers_.clear();
  const std::scoped_lock lock(mutex_);
  if (connections_.empty()) return;
  // What came in before the end still gets its answer.
  Service service(settings_);
  for (auto* connection : connections_) {
    advance(*connection, service);
    ::close(connection->fd);
    delete connection;
  }
  connections_.clear();
}

void Server::work() {
  Service service(settings_);
  while (!stopping_) {
    epoll_event event{};
    const int n = epoll_wait(poller_, &event, 1, -1);
    if (n <= 0 || event.data.ptr == &wake_) continue;
    if (event.data.ptr == &listener_) {
      accept_all();
      continue;
    }
    auto* connection = static_cast<Connection*>(event.data.ptr);
    if (advance(*connection, service))
      arm(*connection, true);
    else
      close(connection);
  }
}

void Server::accept_all() {
  while (true) {
    const int fd = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) return;
    const int yes = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    const timeval limit{.tv_sec = 5, .tv_usec = 0};
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    auto* connection = new Connection{fd, {}};
    {
      const std::scoped_lock lock(mutex_);
      connections_.insert(connection);
    }
    arm(*connection, false);
  }
}

bool Server::advance(Connection& connection, Service& service) {
  std::array<char, 16 << 10> chunk;
  const auto n = recv(connection.fd, chunk.data(), chunk.size(), MSG_DONTWAIT);
  if (n < 0) return errno == EAGAIN || errno == EINTR;
  if (n == 0) return false;
  connection.received.append(chunk.data(), static_cast<std::size_t>(n));
  while (true) {
    Request request;
    std::size_t used = 0;
    switch (parse_request(connection.received, request, used)) {
      case Parse::incomplete:
        return true;
      case Parse::bad:
        send_all(connection.fd, serialise({400, R"({"error":"not a request this service can read"})"}, false, false));
        return false;
      case Parse::complete:
        break;
    }
    connection.received.erase(0, used);
    const bool keep = request.keep_alive && !stopping_;
    if (!send_all(connection.fd, serialise(service.answer(request), keep, request.method == "HEAD")) || !keep)
      return false;
  }
}

void Server::arm(Connection& connection, bool added) {
  epoll_event event{.events = EPOLLIN | EPOLLRDHUP | EPOLLONESHOT, .data = {}};
  event.data.ptr = &connection;
  epoll_ctl(poller_, added ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, connection.fd, &event);
}

void Server::close(Connection* connection) {
  {
    const std::scoped_lock lock(mutex_);
    connections_.erase(connection);
  }
  ::close(connection->fd);
  delete connection;
}

}  // namespace shop
