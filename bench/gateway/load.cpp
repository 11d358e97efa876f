// The loader of the gateway benchmark, one thread: closed (each place asks again once it is answered) or open (--rate:
// requests come due as a Poisson process with a fixed seed, the same for every proxy, whether or not anybody is free to
// send them). Open-loop latency counts from when a request was due, so a proxy that stalls cannot hide the requests
// that it kept from being sent. A place is a connection of HTTP/1.1, or with --h2 one of --streams on a connection.
//
// Why our own: wrk has no open loop and knows no HTTP/2. h2load has no open loop that counts so, forgets what was under
// way when its time is over, and its HTTP/1.1 is another client than the one that the other cases are measured with.
//
// With --writes a share of the requests are `POST /write`, each with an id of its own, and what became of each is in a
// file: acknowledged, refused (503: nothing was done), or unknown. No write is ever sent twice from here.
//
// All connections are made first, handshakes included; then it says `connected` and begins once there is a line, or an
// end, on standard input. Then one JSON object. What was due before the end may still be sent and answered within ten
// seconds of it; the rest counts as failed, with its age among the latencies. The connections stay until there is
// another line, or the end: whoever looks at what the proxy has used does not see them being closed.
#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/prctl.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
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

namespace {

using foreshadow::bench::Answer;
using foreshadow::bench::ClientTls;
using foreshadow::bench::H1Talk;
using foreshadow::bench::H2Talk;
using foreshadow::bench::Talk;
using foreshadow::bench::Tally;
using foreshadow::bench::Wire;
using Clock = std::chrono::steady_clock;
using Time = Clock::time_point;
using std::chrono::nanoseconds;

constexpr nanoseconds kGrace = std::chrono::seconds(10);
constexpr nanoseconds kConnectMax = std::chrono::seconds(10);
// A proxy that refuses everything would keep us busy for nothing.
constexpr std::uint64_t kFailuresMax = 100'000;

struct Settings {
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

class Load {
 public:
  explicit Load(Settings settings) : settings_(std::move(settings)), connections_(settings_.connections) {
    poll_ = epoll_create1(EPOLL_CLOEXEC);
    for (auto& connection : connections_) connection.places.resize(settings_.streams);
    if (!settings_.ca_file.empty()) tls_.emplace(settings_.ca_file, settings_.h2 ? "h2" : "http/1.1");
    if (settings_.writes.empty()) return;
    writes_ = std::fopen(settings_.writes.c_str(), "w");
    if (!writes_) {
      std::perror(settings_.writes.c_str());
      std::exit(1);
    }
  }
  ~Load() {
    if (writes_) std::fclose(writes_);
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
    if (writes_) std::fflush(writes_);
  }

  std::string json() { return tally_.json(settings_.seconds); }

 private:
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

  void fail(Connection& connection, Place& place, const char* why, int status) {
    tally_.failed(why);
    if (place.write != 0) note_write(place, status == 503 ? "refused" : "unknown");
    free(connection, place);
  }

  void note_write(Place& place, const char* outcome) {
    fmt::print(writes_, "{} {}\n", std::exchange(place.write, 0), outcome);
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
      place = {.busy = true, .due = open_loop() ? next_due_ : Clock::now(), .write = choose_write()};
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

  // An id, or 0 for a read.
  std::uint64_t choose_write() {
    if (!writes_ || std::uniform_real_distribution<double>()(chance_) >= settings_.write_share) return 0;
    return ++last_write_;
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
      if (place.write != 0) note_write(place, "acknowledged");
      free(connection, place);
      tally_.answered(Clock::now() < end_);
    } else {
      fail(connection, place,
           answer.status == 503 ? "status 503"
           : answer.status == 0 ? "reset"
                                : "status",
           answer.status);
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

  const Settings settings_;
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
  std::FILE* writes_ = nullptr;
  std::uint64_t last_write_ = 0;
  std::vector<Answer> answers_;
  std::array<epoll_event, 256> events_{};
  std::array<char, 256 << 10> buffer_{};
};

// Until there is a line on standard input, or its end.
void await_line() {
  for (int c = 0; c != '\n' && c != EOF;) c = std::getchar();
}

void say(const std::string& line) {
  fmt::print("{}\n", line);
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Loader of ./dev bench gateway: GETs and writes over kept connections on loopback, closed or open loop"};
  Settings settings;
  app.add_option("--port", settings.port)->required();
  app.add_option("--path", settings.path)->capture_default_str();
  app.add_option("--connections", settings.connections)->check(CLI::Range(1, 20'000))->capture_default_str();
  app.add_flag("--h2", settings.h2, "HTTP/2, in the plain by prior knowledge, under TLS by ALPN");
  app.add_option("--streams", settings.streams, "At once on a connection of HTTP/2")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_option("--ca", settings.ca_file, "TLS, with a certificate that leads to this one");
  app.add_option("--seconds", settings.seconds)->check(CLI::Range(0.01, 3600.0))->capture_default_str();
  app.add_option("--rate", settings.rate_per_s, "Requests a second, open loop; 0 is closed")->capture_default_str();
  app.add_option("--write-share", settings.write_share)->check(CLI::Range(0.0, 1.0))->capture_default_str();
  app.add_option("--writes", settings.writes, "Where to tell what became of each write; none are sent without");
  CLI11_PARSE(app, argc, argv);
  if (!settings.h2) settings.streams = 1;
  // A wait for the next due request must not be rounded up by the customary 50 microseconds.
  prctl(PR_SET_TIMERSLACK, 1000);
  // A proxy that ends a connection ends none of ours (OpenSSL writes without MSG_NOSIGNAL).
  std::signal(SIGPIPE, SIG_IGN);
  Load load(std::move(settings));
  load.connect();
  say("connected");
  await_line();
  load.run();
  say(load.json());
  await_line();
}
