#include "postgres/load.hpp"

#include <fmt/format.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <random>

namespace foreshadow::bench::pg {
namespace {

constexpr std::chrono::milliseconds kTurn{2};
constexpr std::chrono::seconds kGrace{10};
constexpr std::chrono::seconds kConnect{60};
// A server that starts a process for each is not asked for all at once.
constexpr std::size_t kConnectAtOnce = 32;

Clock::duration seconds(double s) {
  return std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(s));
}

}  // namespace

void await_line() {
  for (char c = 0; c != '\n' && ::read(STDIN_FILENO, &c, 1) == 1;) {
  }
}

bool Load::busy() const {
  return std::ranges::any_of(clients_, [](const auto& client) { return client->busy(); });
}

void Load::connect() {
  const auto deadline = Clock::now() + kConnect;
  for (std::size_t n = 0; n < run_.settings.clients; ++n) clients_.push_back(std::make_unique<Client>(run_, n));
  while (run_.connected < clients_.size()) {
    const auto now = Clock::now();
    if (now > deadline) {
      fmt::print(stderr, "only {} of {} clients are connected\n", run_.connected, clients_.size());
      std::exit(1);
    }
    // In order: those behind have not been tried yet.
    const auto wanted = std::min(clients_.size(), run_.connected + kConnectAtOnce);
    for (std::size_t n = 0; n < wanted; ++n) clients_[n]->look_at_clock(now);
    turn(now + kTurn);
  }
}

// Waits for something to do, no longer than until `due`.
void Load::turn(Time due) {
  std::array<epoll_event, 256> events;
  const auto left = std::max(Clock::duration{0}, due - Clock::now());
  const timespec timeout{0, std::chrono::duration_cast<std::chrono::nanoseconds>(left).count()};
  const int n = epoll_pwait2(run_.epoll, events.data(), static_cast<int>(events.size()), &timeout, nullptr);
  for (int i = 0; i < n; ++i) {
    auto* client = static_cast<Client*>(events[static_cast<std::size_t>(i)].data.ptr);
    if (client == nullptr) {
      told_ = true;
      await_line();
      epoll_ctl(run_.epoll, EPOLL_CTL_DEL, STDIN_FILENO, nullptr);
    } else {
      client->ready(Clock::now());
    }
  }
}

// What is due to whoever is free; in a closed loop that is always something.
void Load::hand_out(Time now) {
  const auto rate = run_.settings.rate_per_s;
  while (rate > 0 && next_due_ <= now) {
    run_.due.push_back(next_due_);
    next_due_ += seconds(std::exponential_distribution<double>(rate)(run_.chance));
  }
  while (!run_.resting.empty() && (rate == 0 || !run_.due.empty())) {
    auto due = now;
    if (!run_.due.empty()) {
      due = run_.due.front();
      run_.due.pop_front();
    }
    // The one that has rested longest: all of them have their share.
    run_.resting.front()->begin(due, now);
  }
}

void Load::run() {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.ptr = nullptr;
  // A regular file, or nothing, has no line to wait for.
  const bool listens = run_.settings.seconds == 0 && epoll_ctl(run_.epoll, EPOLL_CTL_ADD, STDIN_FILENO, &event) == 0;
  const auto began = Clock::now();
  const auto end = run_.settings.seconds > 0 || !listens ? began + seconds(run_.settings.seconds) : Time::max();
  next_due_ = began;
  hand_out(began);
  run_.stopping = run_.settings.once;
  Time ended = began;
  for (auto now = began; !run_.stopping || busy(); now = Clock::now()) {
    if (!run_.stopping && (now >= end || told_)) run_.stopping = true;
    if (!run_.stopping) {
      ended = now;
      hand_out(now);
    } else if (now - ended > kGrace) {
      for (auto& client : clients_) client->give_up(now);
    }
    for (auto& client : clients_) client->look_at_clock(now);
    const bool waits_for_due = run_.settings.rate_per_s > 0 && !run_.stopping && !run_.resting.empty();
    const auto due = std::min(now + kTurn, waits_for_due ? next_due_ : Time::max());
    turn(due);
    run_.waits.turned(due, Clock::now());
  }
  seconds_ = std::chrono::duration<double>((run_.settings.once ? Clock::now() : ended) - began).count();
  for (auto& client : clients_) client->end(Clock::now());
  run_.ledger.flush();
  run_.waits.flush();
}

std::string Load::json() {
  auto& tally = run_.tally;
  std::string failures;
  for (const auto& [name, count] : tally.failures)
    failures += fmt::format("{}\"{}\":{}", failures.empty() ? "" : ",", name, count);
  const auto a_second = [&](std::uint64_t n) { return seconds_ > 0 ? static_cast<double>(n) / seconds_ : 0.0; };
  return fmt::format(
      "{{\"statements\":{},\"transactions\":{},\"acknowledged\":{},\"unknown\":{},\"failed\":{},\"failures\":{{{}}},"
      "\"broken\":{},\"seconds\":{:.3f},\"qps\":{:.1f},\"tps\":{:.1f},{},{}}}",
      tally.statements, tally.transactions, tally.acknowledged, tally.unknown, tally.failed, failures, tally.broken,
      seconds_, a_second(tally.statements), a_second(tally.transactions), tally.latencies.json_fields(),
      run_.waits.json());
}

}  // namespace foreshadow::bench::pg
