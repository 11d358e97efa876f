// One request to an instance over HTTP/2, from its place on a connection to the end of its answer. Gives the place
// back, and gives up what is not over, when it goes.
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <string>

#include "kinds/http/h2client/link.hpp"

namespace foreshadow::kinds::http::h2client {

class Call final : private StreamOwner {
 public:
  using Steady = Watch::Steady;
  explicit Call(std::shared_ptr<Link> link);
  ~Call();
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  // Once. `head`: as it would be sent over HTTP/1.1; `body`: offer() and finish() follow.
  void begin(std::string_view head, bool body);
  // Lent: must stay where it is until pending() is 0, or until this goes.
  void offer(std::string_view bytes);
  void finish(std::string_view trailer_lines);
  std::size_t pending() const { return stream_ ? stream_->pending() : 0; }
  // So much of the answer was passed on.
  void consume(std::size_t bytes);
  // Nothing that was lent is touched afterwards; what is not over is given up, and nothing of it is left to take.
  void give_up() noexcept;

  // Nothing more can be sent or will come; what came can still be taken.
  bool closed() const { return !stream_ || stream_->closed(); }
  // The instance provably did nothing with it.
  bool refused() const { return stream_ ? stream_->refused() : !begun_; }
  bool spoilt() const { return stream_ && stream_->spoilt(); }
  bool reset_by_peer() const { return stream_ && stream_->reset_by_peer(); }
  bool answered() const { return stream_ && stream_->answered(); }
  bool ended() const { return stream_ && stream_->ended(); }
  bool has_interims() const { return stream_ && !stream_->interim.empty(); }
  // Heads, oldest first.
  std::vector<std::string> take_interims();
  const std::string& head() const { return stream_->head; }
  std::string& body() { return stream_->body; }
  const std::string& trailers() const { return stream_->trailers; }

  // Waits for a change until then. False: none came.
  awaitable<bool> change_until(Steady::time_point deadline);
  // Whoever waits for `other` too is woken by each change; it outlives this.
  void also_wake(boost::asio::steady_timer& other) { other_ = &other; }
  // Its time is over: the connection is suspected, if nothing at all came over it.
  void mark_late();
  bool late() const { return late_; }

 private:
  void changed() override;
  const std::shared_ptr<Link> link_;
  Stream* stream_ = nullptr;
  bool begun_ = false;
  boost::asio::steady_timer changed_;
  boost::asio::steady_timer* other_ = nullptr;
  Steady::time_point began_at_ = Steady::now();
  bool late_ = false;
};

}  // namespace foreshadow::kinds::http::h2client
