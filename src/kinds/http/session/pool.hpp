// Connections to instances, kept for the next request. Never hands out one that the instance has closed or on which
// something unexpected waits: its bytes would be taken for the next answer.
#pragma once

#include <list>
#include <memory>
#include <vector>

#include "base/result.hpp"
#include "base/time.hpp"
#include "domain/resource.hpp"
#include "kinds/http/session/complaints.hpp"
#include "kinds/http/session/conn.hpp"
#include "kinds/http/session/credentials.hpp"

namespace foreshadow::kinds::http {

class Pool : public std::enable_shared_from_this<Pool> {
 public:
  struct Got {
    std::unique_ptr<Conn> conn;
    bool reused = false;
  };
  // How instances are spoken to.
  struct Tls {
    std::shared_ptr<Credentials> credentials;  // null, or without a client: in the plain
    std::string server_name;  // empty: the host of the instance's address. An instance's attribute outranks both
    std::string resource;     // for the log
  };
  // At most `idle_max` connections are kept for each instance.
  Pool(boost::asio::any_io_executor executor, std::shared_ptr<Watchdog> watchdog, std::size_t idle_max, Tls tls);

  // One that was idle for at most `idle_age_max` (zero: none), else a new one. Errors: unreachable (nobody listens:
  // nothing was sent), timeout, refused (the TLS handshake failed: nothing was sent), io (our own lack of ports or
  // descriptors).
  awaitable<Result<Got>> get(const Instance& instance, Millis connect_timeout, Millis idle_age_max);
  void put(const Instance& instance, std::unique_ptr<Conn> conn);
  std::size_t idle() const;

 private:
  struct Idle {
    std::unique_ptr<Conn> conn;
    Watch::Steady::time_point since;
  };
  struct Shelf {
    Endpoint endpoint;
    std::string server_name;  // whom its connections are known to reach; empty: plain
    std::vector<Idle> idle;   // oldest first
  };
  std::string server_name_of(const Instance& instance) const;
  Shelf& shelf(const Instance& instance);
  awaitable<Result<std::unique_ptr<Conn>>> connect(const Instance& instance, Millis timeout);
  void sweep();

  boost::asio::any_io_executor executor_;
  std::shared_ptr<Watchdog> watchdog_;
  std::size_t idle_max_;
  Tls tls_;
  Complaints complaints_;
  std::list<Shelf> shelves_;  // two or three: the sides of a table, and the one before
  boost::asio::steady_timer sweeper_;
  bool sweeping_ = false;
};

}  // namespace foreshadow::kinds::http
