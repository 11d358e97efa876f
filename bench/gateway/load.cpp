// The loader of the gateway benchmark, one thread: closed (each connection asks again once it is answered) or open
// (--rate: requests come due as a Poisson process with a fixed seed, the same for every proxy, whether or not anybody
// is free to send them). Open-loop latency counts from when a request was due, so a proxy that stalls cannot hide the
// requests that it kept from being sent. wrk has no open loop and h2load no percentiles, hence a small one of our own.
//
// With --writes a share of the requests are `POST /write`, each with an id of its own, and what became of each is in a
// file: acknowledged, refused (503: nothing was done), or unknown. No write is ever sent twice from here.
//
// One JSON object on standard output. What was due before the end may still be sent and answered within five seconds of
// it; the rest counts as failed, with its age among the latencies.
#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "answer_scanner.hpp"

namespace {

using foreshadow::bench::AnswerScanner;
using Clock = std::chrono::steady_clock;
using Time = Clock::time_point;
using std::chrono::nanoseconds;

constexpr nanoseconds kGrace = std::chrono::seconds(5);
// A proxy that refuses everything would keep us busy for nothing.
constexpr std::uint64_t kFailuresMax = 100'000;

struct Settings {
  std::uint16_t port = 0;
  std::string path = "/128";
  std::size_t connections = 32;
  double seconds = 2;
  double rate_per_s = 0;  // zero: closed
  double write_share = 0;
  std::string writes;  // the file that tells what became of them; empty: none are sent
};

struct Connection {
  enum class State { connecting, idle, busy };
  int fd = -1;
  State state = State::connecting;
  Time due;                 // of the request under way
  std::uint64_t write = 0;  // its id; 0: a read
  AnswerScanner answer;
};

class Load {
 public:
  explicit Load(Settings settings)
      : settings_(std::move(settings)),
        request_(fmt::format("GET {} HTTP/1.1\r\nHost: bench.example\r\nUser-Agent: foreshadow-bench\r\nAccept: "
                             "*/*\r\n\r\n",
                             settings_.path)),
        connections_(settings_.connections) {
    poll_ = epoll_create1(EPOLL_CLOEXEC);
    latencies_.reserve(1 << 20);
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

  void run() {
    for (auto& connection : connections_) open(connection);
    begin_ = Clock::now();
    end_ = begin_ + std::chrono::duration_cast<nanoseconds>(std::chrono::duration<double>(settings_.seconds));
    next_due_ = begin_;
    std::array<epoll_event, 256> events{};
    for (auto now = begin_; now < end_ + kGrace && failed_ < kFailuresMax; now = Clock::now()) {
      dispatch(now);
      if (now >= end_ && under_way_ == 0 && !is_due(now)) break;
      const auto until = now >= end_ ? end_ + kGrace : open_loop() && has_idle() ? std::min(next_due_, end_) : end_;
      const auto wait = std::max(nanoseconds(0), std::chrono::duration_cast<nanoseconds>(until - Clock::now()));
      const timespec timeout{.tv_sec = wait.count() / 1'000'000'000, .tv_nsec = wait.count() % 1'000'000'000};
      const int n = epoll_pwait2(poll_, events.data(), events.size(), &timeout, nullptr);
      for (int i = 0; i < n; ++i) handle(connections_[events[i].data.u64], events[i].events);
    }
    give_up_rest();
  }

  void print() {
    std::ranges::sort(latencies_);
    std::string failures;
    for (const auto& [name, count] : failures_)
      failures += fmt::format("{}\"{}\":{}", failures.empty() ? "" : ",", name, count);
    fmt::print(
        "{{\"answered\":{},\"failed\":{},\"writes_failed\":{},\"failures\":{{{}}},\"reconnects\":{},\"rps\":{:.1f},"
        "\"p50_ms\":{:.4f},\"p99_ms\":{:.4f},\"p999_ms\":{:.4f},\"max_ms\":{:.4f}}}\n",
        answered_, failed_, writes_failed_, failures, reconnects_, static_cast<double>(answered_in_time_) / settings_.seconds,
        quantile(0.5), quantile(0.99), quantile(0.999), quantile(1));
  }

 private:
  bool open_loop() const { return settings_.rate_per_s > 0; }
  bool has_idle() const { return !idle_.empty(); }
  // Is there a request to be sent?
  bool is_due(Time now) const { return open_loop() ? next_due_ <= std::min(now, end_) : now < end_; }
  std::size_t index(const Connection& connection) const {
    return static_cast<std::size_t>(&connection - connections_.data());
  }

  void open(Connection& connection) {
    connection.answer.reset();
    connection.state = Connection::State::connecting;
    connection.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const int on = 1;
    setsockopt(connection.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(settings_.port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    // Refusal shows as an event.
    static_cast<void>(connect(connection.fd, reinterpret_cast<sockaddr*>(&to), sizeof to));
    epoll_event event{.events = EPOLLIN | EPOLLOUT, .data = {.u64 = index(connection)}};
    epoll_ctl(poll_, EPOLL_CTL_ADD, connection.fd, &event);
  }

  void reopen(Connection& connection) {
    close(connection.fd);
    std::erase(idle_, index(connection));
    connection.state = Connection::State::connecting;
    if (const auto now = Clock::now(); now < end_ || is_due(now)) open(connection);
  }

  void fail(Connection& connection, const char* why) {
    ++failed_;
    ++failures_[why];
    if (connection.write != 0) {
      ++writes_failed_;
      note_write(connection, connection.answer.status() == 503 ? "refused" : "unknown");
    }
    if (connection.state == Connection::State::busy) record(connection.due);
    reopen(connection);
  }

  void note_write(Connection& connection, const char* outcome) {
    fmt::print(writes_, "{} {}\n", std::exchange(connection.write, 0), outcome);
  }

  void record(Time since) {
    latencies_.push_back((Clock::now() - since).count());
    --under_way_;
  }

  // Sends what is due over who is free.
  void dispatch(Time now) {
    while (has_idle() && is_due(now)) {
      auto& connection = connections_[idle_.front()];
      idle_.pop_front();
      connection.due = open_loop() ? next_due_ : Clock::now();
      if (open_loop()) advance();
      connection.state = Connection::State::busy;
      connection.answer.reset();
      ++under_way_;
      const auto& request = next_request(connection);
      if (::send(connection.fd, request.data(), request.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(request.size()))
        fail(connection, "send");
    }
  }

  const std::string& next_request(Connection& connection) {
    if (!writes_ || std::uniform_real_distribution<double>()(chance_) >= settings_.write_share) return request_;
    connection.write = ++last_write_;
    return write_ = fmt::format(
               "POST /write HTTP/1.1\r\nHost: bench.example\r\nUser-Agent: foreshadow-bench\r\nWrite-Id: "
               "{}\r\nContent-Length: 0\r\n\r\n",
               last_write_);
  }

  void advance() {
    next_due_ += std::chrono::duration_cast<nanoseconds>(
        std::chrono::duration<double>(std::exponential_distribution<double>(settings_.rate_per_s)(chance_)));
  }

  void handle(Connection& connection, std::uint32_t events) {
    if (connection.state == Connection::State::connecting) {
      int error = 0;
      socklen_t length = sizeof error;
      getsockopt(connection.fd, SOL_SOCKET, SO_ERROR, &error, &length);
      if (error != 0) return fail(connection, "connect");
      if (!(events & EPOLLOUT)) return;
      epoll_event event{.events = EPOLLIN, .data = {.u64 = index(connection)}};
      epoll_ctl(poll_, EPOLL_CTL_MOD, connection.fd, &event);
      connection.state = Connection::State::idle;
      idle_.push_back(index(connection));
      return;
    }
    const auto n = recv(connection.fd, buffer_.data(), buffer_.size(), 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (connection.state == Connection::State::idle) {
      // Whoever closes an idle connection fails nobody.
      ++reconnects_;
      return reopen(connection);
    }
    if (n <= 0) return fail(connection, n == 0 ? "closed" : "reset");
    switch (connection.answer.feed({buffer_.data(), static_cast<std::size_t>(n)})) {
      case AnswerScanner::Found::more:
        return;
      case AnswerScanner::Found::malformed:
        return fail(connection, "malformed");
      case AnswerScanner::Found::complete:
        break;
    }
    if (connection.answer.status() != 200)
      return fail(connection, connection.answer.status() == 503 ? "status 503" : "status");
    if (connection.write != 0) note_write(connection, "acknowledged");
    record(connection.due);
    ++answered_;
    const auto now = Clock::now();
    if (now < end_) ++answered_in_time_;
    connection.state = Connection::State::idle;
    idle_.push_back(index(connection));
    dispatch(now);
  }

  void give_up_rest() {
    for (auto& connection : connections_)
      if (connection.state == Connection::State::busy) fail(connection, "unanswered");
    for (; open_loop() && next_due_ <= end_; advance()) {
      ++under_way_;
      ++failed_;
      ++failures_["never sent"];
      record(next_due_);
    }
  }

  // Milliseconds; the latencies are sorted.
  double quantile(double q) const {
    if (latencies_.empty()) return 0;
    const auto rank = static_cast<std::size_t>(q * static_cast<double>(latencies_.size()));
    return static_cast<double>(latencies_[std::min(rank, latencies_.size() - 1)]) / 1e6;
  }

  const Settings settings_;
  const std::string request_;
  std::vector<Connection> connections_;
  std::deque<std::size_t> idle_;  // who was answered longest ago is the next to ask
  int poll_ = -1;
  Time begin_, end_, next_due_;
  std::mt19937_64 chance_{1};
  std::vector<std::int64_t> latencies_;  // nanoseconds
  std::map<std::string, std::uint64_t> failures_;
  std::uint64_t answered_ = 0, answered_in_time_ = 0, failed_ = 0, reconnects_ = 0, under_way_ = 0;
  std::FILE* writes_ = nullptr;
  std::string write_;  // as it is sent
  std::uint64_t last_write_ = 0, writes_failed_ = 0;
  std::array<char, 256 << 10> buffer_{};
};

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Loader of ./dev bench gateway: GETs and writes over keep-alive connections on loopback, closed or open loop"};
  Settings settings;
  app.add_option("--port", settings.port)->required();
  app.add_option("--path", settings.path)->capture_default_str();
  app.add_option("--connections", settings.connections)->check(CLI::Range(1, 20'000))->capture_default_str();
  app.add_option("--seconds", settings.seconds)->check(CLI::Range(0.01, 3600.0))->capture_default_str();
  app.add_option("--rate", settings.rate_per_s, "Requests a second, open loop; 0 is closed")->capture_default_str();
  app.add_option("--write-share", settings.write_share)->check(CLI::Range(0.0, 1.0))->capture_default_str();
  app.add_option("--writes", settings.writes, "Where to tell what became of each write; none are sent without");
  CLI11_PARSE(app, argc, argv);
  // A wait for the next due request must not be rounded up by the customary 50 microseconds.
  prctl(PR_SET_TIMERSLACK, 1000);
  Load load(settings);
  load.run();
  load.print();
}
