// A connection that was switched to another protocol: bytes go both ways as fast as their reader takes them, an end of
// sending is passed on by itself, and a reset as a reset. What was not delivered whole never ends as if it had been.
//
// Of a WebSocket it knows where frames end, so that it can be seen out: a Close frame goes to the client between two
// frames, and the instance hears on until the client has answered it, so that nothing the client has sent is lost.
// Other protocols are closed. Each direction holds at most what one read brings (32 KiB), and an idle one nothing.
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <memory>

#include "base/time.hpp"
#include "kinds/http/session/conn.hpp"
#include "kinds/http/session/lasting.hpp"
#include "kinds/http/wire/websocket.hpp"

namespace foreshadow::kinds::http {

// Lives on the gateway's thread.
class Tunnel final : public Lasting {
 public:
  enum class End {
    none,      // still going
    finished,  // both sides have ended their sending
    client_gone,
    instance_gone,
    idle,    // nothing moved for the idle timeout
    closed,  // asked to leave, and knows no better way
    late,    // asked to leave, and the time for that is over
  };

  // The client outlives it. What either has unread goes first.
  Tunnel(Conn& client, std::unique_ptr<Conn> instance, bool websocket);
  Tunnel(const Tunnel&) = delete;
  Tunnel& operator=(const Tunnel&) = delete;

  // Returns when it has ended; the instance's connection is closed then. True: the client may be told so in order, and
  // false: its connection was reset.
  awaitable<bool> run();

  // The client is to go elsewhere, within this time; `code` is what a Close frame says. Asked again, the first code and
  // the sooner end stand.
  void leave(std::uint16_t code, Millis within) override;
  bool leaving() const override { return code_ != 0; }
  // run() returns soon. The first reason stands.
  void end(End why);
  // Ends it if it is past its time, was silent for so long, or a side that nobody reads from at the moment was reset.
  void look(Steady::time_point now, Millis idle_timeout) override;

 private:
  awaitable<void> carry_up();
  awaitable<void> carry_down();
  awaitable<void> see_out();
  awaitable<void> pass_end_on();
  void lane_ended();
  bool going() const { return end_ == End::none && lanes_ > 0; }
  bool close(Conn& conn, bool orderly);

  Conn& client_;
  std::unique_ptr<Conn> instance_;
  const bool websocket_;
  FrameTracker frames_;  // to the client
  int lanes_ = 2;        // directions that go on
  bool down_open_ = true;
  bool writing_ = false;     // the instance's bytes to the client
  bool speaking_ = false;    // our own Close frame
  bool silenced_ = false;    // the instance's bytes go nowhere any more
  bool said_close_ = false;  // or are about to, see speaking_
  std::uint16_t code_ = 0;
  Steady::time_point leave_by_ = Steady::time_point::max();
  Steady::time_point moved_at_ = Steady::now();
  // Never expires by itself: cancelling it wakes see_out().
  boost::asio::steady_timer wake_;
  End end_ = End::none;
};

}  // namespace foreshadow::kinds::http
