// One client's connection joined to one of an instance: bytes are copied in both directions as fast as their reader
// takes them, an end of sending is passed on by itself, and a reset as a reset. What was not delivered whole never ends
// as if it had been: then both sides get a reset.
//
// Knows nothing of what the bytes mean.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <chrono>

#include "kinds/tcp/session/held.hpp"
#include "proxy/gate.hpp"

namespace foreshadow::kinds::tcp {

class Tunnel {
 public:
  using Steady = std::chrono::steady_clock;
  enum class End {
    none,      // still going
    finished,  // both sides have ended their sending
    client_reset,
    instance_reset,
    idle,     // nothing moved for the idle timeout
    at_rest,  // closed for a hold or a shutdown, between two exchanges
    cut,      // the gateway stops and cannot wait
  };

  // `reached_in`: how long the instance took to accept. The account outlives it.
  Tunnel(proxy::Pass pass, boost::asio::ip::tcp::socket client, boost::asio::ip::tcp::socket instance,
         proxy::Micros reached_in, HeldAccount& account);
  // Closes both sockets and gives the pass back.
  ~Tunnel();
  Tunnel(const Tunnel&) = delete;
  Tunnel& operator=(const Tunnel&) = delete;

  // Returns when it has ended.
  boost::asio::awaitable<void> run();
  // run() returns soon. The first reason stands.
  void end(End why);

  const proxy::Pass& pass() const { return pass_; }
  // When bytes last moved.
  Steady::time_point moved_at() const { return moved_at_; }
  // Nothing is under way as far as a stranger to the protocol can tell: nothing is held or waits to be read, and,
  // unless `whoever_spoke`, the client does not wait for an answer (the instance spoke last, or nobody has) and neither
  // side has ended its sending.
  bool at_rest(bool whoever_spoke);
  // Ends it if a side that nobody reads from at the moment was reset; the other resets are seen at once.
  void look_for_resets();

 private:
  struct Lane {
    boost::asio::ip::tcp::socket& from;
    boost::asio::ip::tcp::socket& to;
    Held held;
    bool open = true;  // the sender has not ended
    bool spoke = false;
  };

  boost::asio::awaitable<void> pump(Lane& lane);
  void copy(Lane& lane);
  void flush(Lane& lane);
  void heard(Lane& lane);
  void sending_ended(Lane& lane);
  End reset_by(const boost::asio::ip::tcp::socket& side) const;
  bool went_well() const;

  proxy::Pass pass_;
  boost::asio::ip::tcp::socket client_;
  boost::asio::ip::tcp::socket instance_;
  Lane up_;    // client to instance
  Lane down_;  // instance to client
  const proxy::Micros reached_in_;
  const Steady::time_point began_at_ = Steady::now();
  Steady::time_point asked_at_ = began_at_;  // the client's first bytes
  Steady::time_point moved_at_ = began_at_;
  bool client_waits_ = false;
  bool given_up_on_ = false;  // the instance ended first, and had said nothing to a client that spoke
  End end_ = End::none;
};

}  // namespace foreshadow::kinds::tcp
