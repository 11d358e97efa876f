// The open-loop HTTP client: one thread, one pool of keep-alive connections, no retries. A request that is due takes an
// idle connection, or opens one, or waits for one; its latency counts from when it was due in every case.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <string>

#include "load/recorder.hpp"

namespace load {

struct HttpLoad {
  std::string host = "127.0.0.1";
  int port = 0;
  double rate_per_s = 100;
  Micros length{std::chrono::seconds{10}};
  std::uint64_t seed = 1;
  int connections = 16;
  double write_share = 0.4;  // POST /orders; the rest is GET /products/<id>
  int products = 1000;
  Micros timeout{std::chrono::seconds{10}};
  std::function<bool()> stop;  // asked a few times a second; true ends the schedule early
  std::function<void()> tick;  // called as often as `stop`
};

// Runs to the end, waiting for what is outstanding. The operation of POST number n is "h<seed>-<n>".
// Throws std::runtime_error if the system gives no socket or poller at all.
void run_http_load(const HttpLoad& load, Recorder& recorder);

}  // namespace load
