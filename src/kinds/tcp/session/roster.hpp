// Who is connected through one listener, and who must go. One timer looks at all of them every few milliseconds: a
// connection costs no timer of its own.
//
// Ends connections that were idle for too long; at a hold, as the policy says, and at a shutdown, those at rest; and
// keeps the account of strays: connections to an instance that gets no new ones under the table in force. They count as
// unmovable, and where the policy closes connections they go as soon as they are at rest.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <list>
#include <memory>

#include "kinds/tcp/options.hpp"
#include "kinds/tcp/session/tunnel.hpp"

namespace foreshadow::kinds::tcp {

struct RosterSettings {
  Millis idle_timeout{60'000};
  Millis quiet_after{100};
  OnHold on_hold = OnHold::wait;
};

// Lives on one executor without parallelism. Shared, because a connection's frame may be the last to go.
class Roster : public std::enable_shared_from_this<Roster> {
 public:
  // A hold and a shutdown are seen at most this late.
  static constexpr Millis tick{20};

  Roster(const boost::asio::any_io_executor& executor, RosterSettings settings)
      : settings_(settings), timer_(executor) {}

  // A connection is on the roster while this lives. Tunnel and gate outlive it.
  class Entry {
   public:
    Entry(std::shared_ptr<Roster> roster, Tunnel& tunnel, proxy::Gate& gate);
    ~Entry() { roster_->entries_.erase(at_); }
    Entry(const Entry&) = delete;
    Entry& operator=(const Entry&) = delete;

   private:
    friend class Roster;
    void find_out_if_stray();
    std::shared_ptr<Roster> roster_;
    Tunnel& tunnel_;
    proxy::Gate& gate_;
    std::list<Entry*>::iterator at_;
    bool stray_ = false;
    proxy::UnmovableMark mark_;
  };

  // Ends who is at rest now, and from now on as soon as they are.
  void stop();

 private:
  void look_later();
  void look();
  void look_at(Entry& entry, Tunnel::Steady::time_point now, bool closing, bool thoroughly);

  const RosterSettings settings_;
  boost::asio::steady_timer timer_;
  std::list<Entry*> entries_;
  std::uint64_t seen_epoch_ = 0;
  std::uint64_t seen_version_ = 0;
  bool strays_ = false;
  Tunnel::Steady::time_point thoroughly_at_{};
  bool running_ = false;
  bool stopping_ = false;
};

}  // namespace foreshadow::kinds::tcp
