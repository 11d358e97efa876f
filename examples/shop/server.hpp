// Keep-alive HTTP connections over one epoll set shared by the workers. A connection is armed for one event at a time
// (EPOLLONESHOT), so exactly one worker touches it, and thousands of idle connections cost no thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "shop/service.hpp"

namespace shop {

class Server {
 public:
  // `listen` is "address:port"; port 0 picks a free one. Throws std::runtime_error with the reason.
  Server(const std::string& listen, int threads, const ServiceSettings& settings);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  std::uint16_t port() const { return port_; }
  // Stops accepting, lets requests that have arrived be answered, then closes. Blocks until the workers are gone.
  void stop();

 private:
  struct Connection;
  void work();
  void accept_all();
  // True while the connection lives on.
  bool advance(Connection& connection, Service& service);
  void arm(Connection& connection, bool added);
  void close(Connection* connection);

  const ServiceSettings& settings_;
  int listener_ = -1;
  int poller_ = -1;
  int wake_ = -1;
  std::uint16_t port_ = 0;
  std::atomic<bool> stopping_{false};
  std::mutex mutex_;
  std::set<Connection*> connections_;  // guarded by mutex_; owned, freed by close()
  std::vector<std::jthread> workers_;
};

}  // namespace shop
