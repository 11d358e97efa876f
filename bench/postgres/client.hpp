// One client of the load: its connection, and the transaction that it is in. It connects again by itself when its
// connection breaks, and begins anew what failed, as a new transaction with another id; it never sends a statement
// twice.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "postgres/run.hpp"

namespace foreshadow::bench::pg {

class Client {
 public:
  Client(Run& run, std::size_t number) : run_(run), number_(number) {}
  ~Client() { close(); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  void connect(Time now);
  // Requires that it rests. `due`: when the transaction's time had come.
  void begin(Time due, Time now);
  // Its socket has something for it.
  void ready(Time now);
  // Connects again once its pause is over; gives up what has had no answer for too long.
  void look_at_clock(Time now);
  // The load is over and nobody waits any longer.
  void give_up(Time now);
  // What it still wants was never answered: that wait counts, too.
  void end(Time now);

  bool connected() const { return state_ >= State::resting; }
  bool busy() const { return state_ == State::asking || state_ == State::rolling_back; }

 private:
  // In this order: from `resting` on it is connected.
  enum class State { closed, connecting, starting, resting, asking, rolling_back };

  void took_message(const Message& message, Time now);
  void answered(char status, Time now);
  void send_step(Time now);
  void send(Time now);
  void succeed(Time now);
  // `unknown`: if its COMMIT was sent.
  enum class Became { failed, unknown };
  void fail(Became became, Time now);
  void rest();
  void lost(std::string_view why, Time now);
  void close();

  Run& run_;
  const std::size_t number_;
  State state_ = State::closed;
  int socket_ = -1;
  Time retry_at_{};
  Time sent_at_{};
  std::optional<Time> wanted_;  // since when it wants an answer that it has not had

  Reader reader_;
  std::string out_;
  Draw draw_;
  Time due_{};
  std::size_t step_ = 0;
  std::string_view expected_;

  // Of the answer so far.
  std::string tag_;
  std::string sqlstate_;
  std::string why_;  // of the transaction's failure, the first there was
};

}  // namespace foreshadow::bench::pg
