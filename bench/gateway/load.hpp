// What the loader does with its connections: sends what is due over whoever is free, and counts what comes back. One
// thread, one epoll; load.cpp says what is closed and open, and what has failed.
#pragma once

#include <fmt/format.h>
#include <sys/epoll.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "h2_talk.hpp"
#include "talk.hpp"
#include "tally.hpp"
#include "wire.hpp"
#include "writes.hpp"

namespace foreshadow::bench {

struct LoadSettings {
  std::uint16_t port = 0;
  std::string path = "/128";
  std::size_t connections = 32;
  std::size_t streams = 1;
  bool h2 = false;
  std::string ca_file;  // empty: no TLS
  double seconds = 2;
  double rate_per_s = 0;  // zero: closed
  double write_share = 0;
  std::string writes;  // the file that tells what became of them; empty: none are sent
};

class Load {
 public:
  explicit Load(LoadSettings settings) : settings_(std::move(settings)), connections_(settings_.connections) {
    poll_ = epoll_create1(EPOLL_CLOEXEC);
    for (auto& connection : connections_) connection.places.resize(settings_.streams);
    if (!settings_.ca_file.empty()) tls_.emplace(settings_.ca_file, settings_.h2 ? "h2" : "http/1.1");
    if (!settings_.writes.empty()) writes_.emplace(settings_.writes, settings_.write_share);
  }

  // Who cannot connect has failed, and tries again in run().
  void connect() {
    for (auto& connection : connections_) open(connection);
    const auto until = Clock::now() + kConnectMax;
    const auto connecting = [](const Connection& one) { return one.state == Connection::State::connecting; };
    while (std::ranges::any_of(connections_, connecting) && Clock::now() < until) wait(until);
  }

  void run() {
    begin_ = Clock::now();
    end_ = begin_ + std::chrono::duration_cast<nanoseconds>(std::chrono::duration<double>(settings_.seconds));
    next_due_ = begin_;
    running_ = true;
    for (auto& connection : connections_)
      if (connection.state == Connection::State::closed) open(connection);
    for (auto now = begin_; now < end_ + kGrace && tally_.failed() < kFailuresMax; now = Clock::now()) {
      dispatch(now);
      if (now >= end_ && under_way_ == 0 && !is_due(now)) break;
      wait(now >= end_ ? end_ + kGrace : open_loop() && has_idle() ? std::min(next_due_, end_) : end_);
    }
    running_ = false;
    give_up_rest();
    if (writes_) writes_->flush();
  }

  std::string json() { return tally_.json(settings_.seconds); }

 private:
  using Clock = std::chrono::steady_clock;
  using Time = Clock::time_point;
  using nanoseconds = std::chrono::nanoseconds;

  static constexpr nanoseconds kGrace = std::chrono::seconds(10);
  static constexpr nanoseconds kConnectMax = std::chrono::seconds(10);
  // A proxy that refuses everything would keep us busy for nothing.
  static constexpr std::uint64_t kFailuresMax = 100'000;

  // Where a request is under way, or may be.
  struct Place {
    bool busy = false;
    Time due;
    std::uint64_t write = 0;  // its id; 0: a read
  };

  struct Connection {
    enum class State { closed, connecting, open };
    State state = State::closed;
    std::unique_ptr<Wire> wire;
    std::unique_ptr<Talk> talk;
    std::string unsent;
    std::vector<Place> places;
    std::size_t busy = 0;
    std::uint32_t watched = 0;
    bool told = false;  // there is something to be sent
  };

  bool open_loop() const { return settings_.rate_per_s > 0; }
  bool has_idle() const { return !idle_.empty(); }
  // Is there a request to be sent?
  bool is_due(Time now) const { return open_loop() ? next_due_ <= std::min(now, end_) : now < end_; }
  std::size_t index(const Connection& connection) const {
    return static_cast<std::size_t>(&connection - connections_.data());
  }

  void wait(Time until) {
    const auto left = std::max(nanoseconds(0), std::chrono::duration_cast<nanoseconds>(until - Clock::now()));
    const timespec timeout{.tv_sec = left.count() / 1'000'000'000, .tv_nsec = left.count() % 1'000'000'000};
    const int n = epoll_pwait2(poll_, events_.data(), static_cast<int>(events_.size()), &timeout, nullptr);
    for (int i = 0; i < n; ++i) handle(connections_[events_[i].data.u64], events_[i].events);
  }

  void watch(Connection& connection, std::uint32_t events) {
    if (events == connection.watched) return;
    epoll_event event{.events = events, .data = {.u64 = index(connection)}};
    epoll_ctl(poll_, connection.watched == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, connection.wire->fd(), &event);
    connection.watched = events;
  }

  void open(Connection& connection) {
    connection.wire = std::make_unique<Wire>(settings_.port, tls_ ? &*tls_ : nullptr);
    if (settings_.h2)
      connection.talk = std::make_unique<H2Talk>(settings_.path, tls_ ? "https" : "http", settings_.streams);
    else
      connection.talk = std::make_unique<H1Talk>(settings_.path);
    connection.unsent.clear();
    connection.watched = 0;
    connection.state = Connection::State::connecting;
    watch(connection, EPOLLOUT);
  }

  // Whoever is under way on it has failed already.
  void reopen(Connection& connection) {
    connection.wire.reset();
    connection.state = Connection::State::closed;
    forget_idle(connection);
    if (!running_) return;
    if (const auto now = Clock::now(); now < end_ || is_due(now)) open(connection);
  }

  void forget_idle(const Connection& connection) {
    std::erase_if(idle_, [&](std::size_t place) { return place / settings_.streams == index(connection); });
  }

  void fail_all(Connection& connection, const char* why) {
    if (connection.busy == 0) tally_.failed(why);
    for (auto& place : connection.places)
      if (place.busy) fail(connection, place, why, 0);
    reopen(connection);
  }

  void fail(Connection& connection, Place& place, std::string why, int status) {
    tally_.failed(std::move(why));
    if (place.write != 0) writes_->note(place.write, status == 503 ? "refused" : "unknown");
    free(connection, place);
  }

  void free(Connection& connection, Place& place) {
    tally_.took((Clock::now() - place.due).count());
    place.busy = false;
    --connection.busy;
    --under_way_;
  }

  // Sends what is due over who is free.
  void dispatch(Time now) {
    while (running_ && has_idle() && is_due(now)) {
      const auto number = idle_.front();
      idle_.pop_front();
      auto& connection = connections_[number / settings_.streams];
      auto& place = connection.places[number % settings_.streams];
      place = {
          .busy = true, .due = open_loop() ? next_due_ : Clock::now(), .write = writes_ ? writes_->choose(chance_) : 0};
      if (open_loop()) advance();
      ++connection.busy;
      ++under_way_;
      connection.talk->ask(number % settings_.streams, place.write);
      tell(connection);
    }
    // Requests on one connection go out together.
    for (const auto one : told_) {
      connections_[one].told = false;
      if (connections_[one].state == Connection::State::open) flush(connections_[one]);
    }
    told_.clear();
  }

  void tell(Connection& connection) {
    if (!std::exchange(connection.told, true)) told_.push_back(index(connection));
  }

  void flush(Connection& connection) {
    connection.talk->take_output(connection.unsent);
    if (!connection.wire->write(connection.unsent)) return fail_all(connection, "send");
    watch(connection, connection.unsent.empty() ? EPOLLIN : EPOLLIN | EPOLLOUT);
  }

  void advance() {
    next_due_ += std::chrono::duration_cast<nanoseconds>(
        std::chrono::duration<double>(std::exponential_distribution<double>(settings_.rate_per_s)(chance_)));
  }

  void handle(Connection& connection, std::uint32_t events) {
    // Its event came together with that which closed it.
    if (connection.state == Connection::State::closed) return;
    if (connection.state == Connection::State::connecting) return go_on_connecting(connection);
    if ((events & EPOLLOUT) != 0) {
      flush(connection);
      if (connection.state != Connection::State::open) return;
    }
    if ((events & ~static_cast<std::uint32_t>(EPOLLOUT)) != 0) receive(connection);
  }

  void go_on_connecting(Connection& connection) {
    switch (connection.wire->proceed()) {
      case Wire::Progress::wants_read:
        return watch(connection, EPOLLIN);
      case Wire::Progress::wants_write:
        return watch(connection, EPOLLOUT);
      case Wire::Progress::failed:
        return fail_all(connection, "connect");
      case Wire::Progress::connected:
        break;
    }
    connection.state = Connection::State::open;
    for (std::size_t i = 0; i < settings_.streams; ++i) idle_.push_back(index(connection) * settings_.streams + i);
    // HTTP/2 has something to say at once.
    flush(connection);
  }

  void receive(Connection& connection) {
    do {
      const auto n = connection.wire->read(buffer_);
      if (n == 0) break;
      if (n < 0) {
        // Whoever closes an idle connection fails nobody.
        if (connection.busy != 0) return fail_all(connection, "closed");
        tally_.reconnected();
        return reopen(connection);
      }
      answers_.clear();
      if (!connection.talk->feed({buffer_.data(), static_cast<std::size_t>(n)}, answers_))
        return fail_all(connection, "malformed");
      bool good = true;
      for (const auto& answer : answers_) good = take(connection, answer) && good;
      // Over HTTP/1.1 an error may be a connection's last answer.
      if (!good && !settings_.h2) return reopen(connection);
    } while (connection.wire->has_buffered());
    if (!connection.talk->takes_more()) {
      forget_idle(connection);
      if (connection.busy == 0) {
        tally_.reconnected();
        return reopen(connection);
      }
    }
    tell(connection);
    dispatch(Clock::now());
  }

  bool take(Connection& connection, const Answer& answer) {
    auto& place = connection.places[answer.place];
    if (!place.busy) return true;
    const bool good = answer.status == 200;
    if (good) {
      if (place.write != 0) writes_->note(place.write, "acknowledged");
      free(connection, place);
      tally_.answered(Clock::now() < end_);
    } else {
      fail(connection, place, answer.status == 0 ? "reset" : fmt::format("status {}", answer.status), answer.status);
    }
    idle_.push_back(index(connection) * settings_.streams + answer.place);
    return good;
  }

  void give_up_rest() {
    for (auto& connection : connections_)
      if (connection.busy != 0) fail_all(connection, "unanswered");
    for (; open_loop() && next_due_ <= end_; advance()) {
      tally_.failed("never sent");
      tally_.took((Clock::now() - next_due_).count());
    }
  }

  const LoadSettings settings_;
  std::optional<ClientTls> tls_;
  std::vector<Connection> connections_;
  std::deque<std::size_t> idle_;  // places; who was answered longest ago is the next to ask
  std::vector<std::size_t> told_;
  int poll_ = -1;
  bool running_ = false;
  Time begin_, end_, next_due_;
  std::mt19937_64 chance_{1};
  Tally tally_;
  std::uint64_t under_way_ = 0;
  std::optional<Writes> writes_;
  std::vector<Answer> answers_;
  std::array<epoll_event, 256> events_{};
  std::array<char, 256 << 10> buffer_{};
};

}  // namespace foreshadow::bench
