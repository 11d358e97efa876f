// The connections over HTTP/2 to instances, and who waits for a place on them. A few for each instance: another is made
// when those there are full, one at a time, until there are as many as are allowed; then requests wait for a place in
// the order in which they came. A connection is made by nobody's request, so that no client that gives up takes it from
// the others.
#pragma once

#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <vector>

#include "domain/resource.hpp"
#include "kinds/http/h2client/call.hpp"

namespace foreshadow::kinds::http::h2client {

// Lives on one executor without parallelism. Shared, because a connection in the making may be the last to go.
class Links : public std::enable_shared_from_this<Links> {
 public:
  // A fresh connection; what ALPN chose is for us to see. Errors are told to everybody who waits for it.
  using Connect = std::function<awaitable<Result<std::unique_ptr<Conn>>>(const Instance& instance, Millis timeout)>;
  struct Got {
    std::unique_ptr<Call> call;  // null: the instance speaks HTTP/1.1,
    std::unique_ptr<Conn> conn;  // over this connection, if it is not null
    bool reused = false;
  };
  // What differs between two of these must not share a connection.
  struct Key {
    Endpoint endpoint;
    std::string server_name;
    friend bool operator==(const Key&, const Key&) = default;
  };

  Links(boost::asio::any_io_executor executor, std::shared_ptr<Watchdog> watchdog, Settings settings,
        std::size_t head_bytes_max, Millis write_timeout)
      : executor_(std::move(executor)),
        watchdog_(std::move(watchdog)),
        settings_(settings),
        head_bytes_max_(head_bytes_max),
        write_timeout_(write_timeout) {}

  // A place for one request. Errors: as `connect`; timeout (every place was taken until then).
  awaitable<Result<Got>> get(const Instance& instance, Key key, Millis timeout, const Connect& connect);
  const Settings& settings() const { return settings_; }
  std::size_t open() const;

 private:
  struct Waiter {
    explicit Waiter(const boost::asio::any_io_executor& executor) : woken(executor) {}
    boost::asio::steady_timer woken;
    bool called = false;  // off the list
    std::unique_ptr<Conn> conn;
    std::optional<Error> error;
  };
  struct Shelf {
    Key key;
    std::vector<std::shared_ptr<Link>> links;  // that may have room, now or later
    std::list<Waiter*> waiters;
    std::size_t on_their_way = 0;  // waiters that were called and have not looked yet
    bool dialling = false;
    Watch::Steady::time_point failed_at{};    // the last connection that could not be made
    Watch::Steady::time_point http1_until{};  // ALPN chose so when last asked
  };
  std::shared_ptr<Shelf> shelf(const Key& key);
  // Null: none. `unsettled`: one may have.
  static std::shared_ptr<Link> find_room(Shelf& shelf, bool& unsettled);
  static awaitable<void> dial(std::shared_ptr<Links> self, std::shared_ptr<Shelf> shelf, Instance instance,
                              Millis timeout, Connect connect);
  // The link, or nothing where the instance speaks HTTP/1.1 over `conn`.
  awaitable<Result<std::shared_ptr<Link>>> greet(const std::shared_ptr<Shelf>& shelf, std::unique_ptr<Conn>& conn,
                                                 Millis timeout);
  bool may_dial(const Shelf& shelf) const;
  // Places that nobody has been called to.
  static std::size_t room_left(const Shelf& shelf);
  // Calls as many as may find something now.
  void call(Shelf& shelf) noexcept;
  static void call_first(Shelf& shelf) noexcept;

  boost::asio::any_io_executor executor_;
  std::shared_ptr<Watchdog> watchdog_;
  const Settings settings_;
  const std::size_t head_bytes_max_;
  const Millis write_timeout_;
  std::list<std::shared_ptr<Shelf>> shelves_;  // two or three: the sides of a table, and the one before
};

}  // namespace foreshadow::kinds::http::h2client
