// One connection to an instance over HTTP/2, shared by the requests that go there: carries the bytes of its Mux, asks a
// silent instance whether it is there, and ends when it was idle for long, when the instance wants it to, and when the
// instance breaks the rules.
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <string>

#include "base/result.hpp"
#include "kinds/http/h2client/mux.hpp"
#include "kinds/http/session/conn.hpp"
#include "proxy/wake.hpp"

namespace foreshadow::kinds::http::h2client {

// Shared by its two coroutines, the shelf it stands on and the calls over it; each may be the last to go.
class Link : public std::enable_shared_from_this<Link> {
 public:
  using Steady = Watch::Steady;
  // `changed`: called when there may be room for another call, or never will be again.
  Link(std::unique_ptr<Conn> conn, std::shared_ptr<Watchdog> watchdog, const Settings& settings,
       std::size_t head_bytes_max, Millis write_timeout, std::function<void()> changed);

  // Once: says hello, and waits until the instance has. No request was sent before that. Errors: timeout, unreachable
  // (it closed the connection, or does not speak HTTP/2).
  awaitable<Result<void>> greet(Millis timeout);

  // How many more calls may begin, as far as limits go.
  std::size_t room() const {
    const auto max = leaving() || !mux.greeted() ? 0 : mux.streams_max();
    return max > calls_ ? max - calls_ : 0;
  }
  // It was idle, and something has come that was not read yet: perhaps a farewell. `changed` follows.
  bool is_unsettled();
  // It will never have room again.
  bool leaving() const { return dead_ || mux.leaving(); }
  bool used() const { return calls_ > 0 || served_; }
  bool is_secure() const { return conn_->is_secure(); }
  boost::asio::any_io_executor executor() const { return conn_->socket().get_executor(); }

  // A call takes its place before its request begins, and leaves it when it is over.
  void enter();
  void leave() noexcept;
  // There is something to pull from the mux.
  void write_soon() noexcept { proxy::wake(to_write_); }
  // Nothing was heard since then: the connection gets no more calls, as it may be dead.
  void doubt(Steady::time_point since);
  // No more calls; ends with those there are.
  void retire();

  Mux mux;

 private:
  static awaitable<void> read(std::shared_ptr<Link> self);
  static awaitable<void> write(std::shared_ptr<Link> self);
  void receive();
  // Which deadline holds now.
  void set_patience();
  void lose_patience();
  void die();

  const std::unique_ptr<Conn> conn_;
  const Settings settings_;
  const Millis write_timeout_;
  const std::function<void()> changed_;
  Watch patience_;
  // Never expire by themselves: cancelling them wakes who waits.
  boost::asio::steady_timer to_write_;
  boost::asio::steady_timer greeted_;
  Steady::time_point heard_at_ = Steady::now();
  std::string out_;
  std::uint64_t written_ = 0;
  std::size_t calls_ = 0;
  bool served_ = false;
  bool spoke_ = false;  // the instance, whatever it was
  bool dead_ = false;
};

}  // namespace foreshadow::kinds::http::h2client
