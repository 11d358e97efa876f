// What the loader's clients share: what they are told to do, what is counted, and the two files that it leaves behind.
//
// The ledger has a line for each writing transaction, `ID acknowledged|unknown|failed AT_US`: its COMMIT was answered
// with COMMIT; its COMMIT was sent and nobody knows; it was not committed, or its client was told so. And when that was
// known.
//
// The waits: `wait CLIENT FROM_US TO_US`, a client that wanted an answer for so long, broken connections, failures and
// repetitions included; and `late FROM_US TO_US`, the loader itself was not there: nobody else may be blamed then.
// Times are those of CLOCK_MONOTONIC.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "common/latencies.hpp"
#include "postgres/script.hpp"

namespace foreshadow::bench::pg {

using Clock = std::chrono::steady_clock;
using Time = Clock::time_point;

struct Settings {
  int port = 0;
  std::string user = "postgres";
  std::string database = "postgres";
  std::size_t clients = 16;
  Kind kind = Kind::select_only;
  Protocol protocol = Protocol::simple;
  std::int64_t scale = 1;
  double seconds = 0;     // 0: until told
  double rate_per_s = 0;  // transactions, open loop; 0: closed
  bool once = false;      // each client does one transaction, and then waits
  double timeout_s = 10;
  std::uint64_t seed = 1;
  std::string name = "t";  // what transactions' ids begin with
  std::string ledger;
  std::string waits;
  std::chrono::microseconds waits_over{5000};
};

using File = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;
// Ends the program if it cannot be made. Without a name: none.
File create(const std::string& name);

class Ledger {
 public:
  explicit Ledger(const std::string& file) : file_(create(file)) {}
  void note(const std::string& id, const char* outcome, Time now);
  void flush() {
    if (file_) std::fflush(file_.get());
  }

 private:
  File file_;
};

class Waits {
 public:
  Waits(const std::string& file, std::chrono::microseconds over) : file_(create(file)), over_(over) {}
  // Or given up: whoever never gets an answer has waited for it.
  void answered(std::size_t client, Time wanted, Time now);
  // The loop should have been there at `due`, and was done with what it found at `now`.
  void turned(Time due, Time now);
  void flush() {
    if (file_) std::fflush(file_.get());
  }
  std::string json() const;

 private:
  File file_;
  std::chrono::microseconds over_;
  std::uint64_t late_ = 0;
  Clock::duration late_total_{0}, late_max_{0}, longest_{0};
};

struct Tally {
  std::uint64_t statements = 0, transactions = 0, acknowledged = 0, unknown = 0, failed = 0, broken = 0;
  std::map<std::string, std::uint64_t> failures;
  Latencies latencies;
  // `why` needs no escapes in JSON.
  void fail(const std::string& why) {
    ++failed;
    ++failures[why];
  }
};

class Client;

struct Run {
  explicit Run(Settings s);

  Settings settings;
  Script script;
  Tally tally;
  Ledger ledger;
  Waits waits;
  std::mt19937_64 chance;
  int epoll;
  std::deque<Time> due;          // transactions whose time has come and that nobody has begun
  std::vector<Client*> resting;  // connected, and with nothing to do
  std::size_t connected = 0;
  bool stopping = false;
  std::uint64_t ids = 0;
};

}  // namespace foreshadow::bench::pg
