// A primary, the place for its shadow, an agent, and clients that write to a ledger through a gate of the test's own.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>

#include "act/agent/client.hpp"
#include "domain/resource.hpp"
#include "kinds/postgres/agent_process.hpp"
#include "kinds/postgres/settings.hpp"
#include "support/pg_cluster.hpp"

namespace foreshadow::testing {

// The first cell of the last result; throws with the server's words.
std::string sql(const Instance& instance, const std::string& text);
bool answers(const Instance& instance);

// Writers in a loop, each commit a new id. `hold` returns when none is in flight; the acknowledged are remembered.
class Ledger {
 public:
  Ledger(const Instance& target, int writers);
  ~Ledger();
  void hold();
  void release(const Instance& target);
  void stop();
  std::set<long> acknowledged() const;
  // Writes that failed for any reason; a handover must cause none.
  int failed() const { return failed_; }
  std::size_t count() const;

 private:
  void write(std::stop_token stop, int number);
  mutable std::mutex mutex_;
  std::string conninfo_;
  std::uint64_t route_ = 0;
  std::set<long> acknowledged_;
  std::atomic<long> next_{1};
  std::atomic<int> failed_{0};
  // Held in shared mode by a write in flight.
  std::mutex gate_;
  std::vector<std::unique_ptr<std::mutex>> in_flight_;
  std::vector<std::jthread> threads_;
};

std::set<long> ledger_of(const Instance& instance);

struct Pair {
  explicit Pair(const PgOptions& options = {}, std::string primary_dir = {});
  ~Pair();

  std::unique_ptr<act::Replicator> replicator() const;
  std::unique_ptr<act::Promoter> promoter() const;
  act::Authority who(std::uint64_t epoch, std::uint64_t term = 1) const { return {"shop", term, epoch}; }
  // follow(), with a failed expectation when it fails.
  void make_shadow();

  PgDirectory dir_a, dir_b, state;
  std::map<std::string, std::string> options{{"max_rate", "unlimited"}, {"headroom_min", "1MiB"}};
  PgCluster cluster;
  Instance primary, shadow;
  std::unique_ptr<AgentProcess> agent;
};

}  // namespace foreshadow::testing
