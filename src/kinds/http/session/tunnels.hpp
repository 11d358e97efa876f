// Who is connected through tunnels of one listener, or has a call of gRPC that lasts, and who must go. One timer looks
// at all of them every few milliseconds: none costs a timer of its own.
//
// A tunnel stays on the side where it began; it is moved by ending it, and its client connects again. At a hold all
// are seen out at once, for until then the hold is not complete; if they are to stay, they break it at the end of its
// budget. When a table gives a client to the other side, its tunnels are strays, and go one after the other, spread
// over the time that this may take. The same when another process takes over. At a shutdown all go.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <list>
#include <memory>
#include <vector>

#include "base/random.hpp"
#include "kinds/http/session/tunnel.hpp"
#include "proxy/gate.hpp"

namespace foreshadow::kinds::http {

struct TunnelSettings {
  Millis idle_timeout{60'000};
  Millis close_within{150};
  Millis move_within{10'000};
  bool stay_in_hold = false;          // and on the wrong side
  std::vector<SegmentId> segments{};  // by their indices
};

// Lives on one executor without parallelism. Shared, because a tunnel's frame may be the last to go.
class Tunnels : public std::enable_shared_from_this<Tunnels> {
 public:
  // A hold and a shutdown are seen at most this late.
  static constexpr Millis tick{20};

  Tunnels(const boost::asio::any_io_executor& executor, TunnelSettings settings, Random random)
      : settings_(std::move(settings)), random_(random), timer_(executor) {}

  // A tunnel is known while this lives. Tunnel, gate and pass outlive it.
  class Entry {
   public:
    Entry(std::shared_ptr<Tunnels> tunnels, Lasting& tunnel, proxy::Gate& gate, const proxy::Pass& pass,
          std::uint64_t sticky);
    ~Entry() { tunnels_->entries_.erase(at_); }
    Entry(const Entry&) = delete;
    Entry& operator=(const Entry&) = delete;

   private:
    friend class Tunnels;
    bool is_stray() const;
    void mark_if_unmovable();
    std::shared_ptr<Tunnels> tunnels_;
    Lasting& tunnel_;
    proxy::Gate& gate_;
    const proxy::Pass& pass_;
    const std::uint64_t sticky_;
    std::list<Entry*>::iterator at_;
    Tunnel::Steady::time_point due_ = Tunnel::Steady::time_point::max();
    proxy::UnmovableMark mark_;
  };

  // Another process takes over: all go, in turn.
  void retire();
  void stop();

 private:
  void look_later();
  void look();
  void look_at_table();
  // Those of them that have none yet get a turn.
  void give_turns(const std::vector<Entry*>& leaving);

  const TunnelSettings settings_;
  Random random_;
  boost::asio::steady_timer timer_;
  std::list<Entry*> entries_;
  std::uint64_t seen_epoch_ = 0;
  std::uint64_t seen_version_ = 0;
  bool moving_ = false;  // somebody has a turn, or is being seen out
  Tunnel::Steady::time_point thoroughly_at_{};
  bool running_ = false;
  bool retiring_ = false;
  bool stopping_ = false;
};

}  // namespace foreshadow::kinds::http
