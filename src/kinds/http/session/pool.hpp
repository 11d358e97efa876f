// Connections to instances, kept for the next request. Never hands out one that the instance has closed or on which
// something unexpected waits: its bytes would be taken for the next answer. Of an instance that speaks HTTP/2 it hands
// out places on connections that are shared (h2client/links.hpp).
#pragma once

#include <list>
#include <memory>
#include <optional>
#include <vector>

#include "base/result.hpp"
#include "base/time.hpp"
#include "domain/resource.hpp"
#include "kinds/http/h2client/links.hpp"
#include "kinds/http/session/complaints.hpp"
#include "kinds/http/session/conn.hpp"
#include "kinds/http/session/credentials.hpp"

namespace foreshadow::kinds::http {

class Pool : public std::enable_shared_from_this<Pool> {
 public:
  // One of both.
  struct Got {
    std::unique_ptr<Conn> conn;
    bool reused = false;
    std::unique_ptr<h2client::Call> call{};
    bool timed_out() const { return call ? call->late() : conn->timed_out(); }
    // Nothing more is wanted of it.
    void drop() {
      call.reset();
      conn.reset();
    }
  };
  // How instances are spoken to.
  struct Tls {
    std::shared_ptr<Credentials> credentials;  // null, or without a client: in the plain
    std::string server_name;  // empty: the host of the instance's address. An instance's attribute outranks both
    std::string resource;     // for the log
    h2client::Settings h2{};
    std::size_t head_bytes_max = 32 << 10;  // of an answer over HTTP/2
    Millis write_timeout{30'000};           // for an instance that takes nothing over HTTP/2
  };
  // At most `idle_max` connections are kept for each instance.
  Pool(boost::asio::any_io_executor executor, std::shared_ptr<Watchdog> watchdog, std::size_t idle_max, Tls tls);

  // One that was idle for at most `idle_age_max` (zero: none), else a new one; `http1`: whatever else the instance
  // speaks. Errors: unreachable (nobody listens: nothing was sent), timeout, refused (the TLS handshake failed: nothing
  // was sent), io (our own lack of ports or descriptors).
  awaitable<Result<Got>> get(const Instance& instance, Millis connect_timeout, Millis idle_age_max, bool http1 = false);
  // Only one that was kept, if there is such a one, without waiting; nothing of instances that may speak HTTP/2.
  // `repeatable`: what is sent may be sent again if the instance turns out to have closed the connection this moment:
  // it is not looked at then, but what the event loop has heard of it is believed.
  std::optional<Got> kept(const Instance& instance, Millis idle_age_max, bool repeatable, bool http1 = false);
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
  awaitable<Result<h2client::Links::Got>> get_over_h2(const Instance& instance, Millis timeout);
  awaitable<Result<std::unique_ptr<Conn>>> connect(const Instance& instance, Millis timeout, bool http1);
  void sweep();

  boost::asio::any_io_executor executor_;
  std::shared_ptr<Watchdog> watchdog_;
  std::size_t idle_max_;
  Tls tls_;
  Complaints complaints_;
  std::shared_ptr<h2client::Links> links_;  // null: all speak HTTP/1.1
  std::list<Shelf> shelves_;                // two or three: the sides of a table, and the one before
  boost::asio::steady_timer sweeper_;
  bool sweeping_ = false;
};

}  // namespace foreshadow::kinds::http
