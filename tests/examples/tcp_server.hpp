// An HTTP server that misbehaves on demand: it reads whole requests and asks a script what to do with each.
#pragma once

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace foreshadow::testing {

class ScriptedServer {
 public:
  // What is sent back for request number n (from 0), and whether the connection is closed after it.
  struct Reply {
    std::string bytes;
    bool close = false;
  };
  using Script = std::function<Reply(int n, const std::string& request)>;

  explicit ScriptedServer(Script script) : script_(std::move(script)) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address);
    ::listen(listener_, 128);
    socklen_t length = sizeof address;
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &length);
    port_ = ntohs(address.sin_port);
    acceptor_ = std::thread([this] { accept_all(); });
  }
  ~ScriptedServer() {
    stop_ = true;
    acceptor_.join();
    for (auto& t : sessions_) t.join();
    ::close(listener_);
  }

  int port() const { return port_; }
  int requests() const { return requests_; }

  static std::string ok(int status) {
    return "HTTP/1.1 " + std::to_string(status) + " X\r\nContent-Length: 2\r\n\r\nok";
  }
  // 200 for a GET, 201 for a POST: what the load wants.
  static std::string wanted(const std::string& request) { return ok(request.starts_with("GET") ? 200 : 201); }

 private:
  bool readable(int fd) const {
    pollfd p{fd, POLLIN, 0};
    return ::poll(&p, 1, 20) > 0;
  }
  void accept_all() {
    while (!stop_)
      if (readable(listener_))
        sessions_.emplace_back([this, fd = ::accept(listener_, nullptr, nullptr)] { serve(fd); });
  }
  void serve(int fd) {
    std::string received;
    while (!stop_) {
      if (!readable(fd)) continue;
      char chunk[4096];
      const auto n = ::recv(fd, chunk, sizeof chunk, 0);
      if (n <= 0) break;
      received.append(chunk, static_cast<std::size_t>(n));
      auto end = received.find("\r\n\r\n");
      if (end == std::string::npos) continue;
      end += 4;
      if (const auto at = received.find("Content-Length: "); at != std::string::npos)
        end += static_cast<std::size_t>(std::stoi(received.substr(at + 16)));
      if (received.size() < end) continue;
      const auto request = received.substr(0, end);
      received.erase(0, end);
      const auto reply = script_(requests_++, request);
      if (!reply.bytes.empty()) ::send(fd, reply.bytes.data(), reply.bytes.size(), MSG_NOSIGNAL);
      if (reply.close) break;
    }
    ::close(fd);
  }

  Script script_;
  int listener_ = -1;
  int port_ = 0;
  std::atomic<bool> stop_{false};
  std::atomic<int> requests_{0};
  std::vector<std::thread> sessions_;  // the acceptor's until it is joined
  std::thread acceptor_;
};

}  // namespace foreshadow::testing
