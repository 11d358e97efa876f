#include "kinds/http/readiness.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>

#include "io/http_client.hpp"

namespace foreshadow::kinds::http {
namespace {

using Steady = std::chrono::steady_clock;

// Success: a 2xx answer in time. Errors: what came instead.
Result<Millis> probe(const Instance& instance, const HttpOptions& options, std::stop_token stop) {
  FS_TRY(tls, probe_tls(options, instance));
  FS_TRY(answer, io::http_get(instance.endpoint.host, instance.endpoint.port, options.probe_path, options.probe_timeout,
                              std::move(stop), tls));
  if (answer.status < 200 || answer.status > 299)
    return fail(Code::refused, fmt::format("{} {} answers {}", instance.id, options.probe_path, answer.status));
  return answer.took;
}

// False when told to stop meanwhile.
bool pause(Millis duration, std::stop_token stop) {
  std::mutex mutex;
  std::condition_variable_any never;
  std::unique_lock lock(mutex);
  never.wait_for(lock, stop, duration, [] { return false; });
  return !stop.stop_requested();
}

class ReadinessReplicator final : public act::Replicator {
 public:
  explicit ReadinessReplicator(HttpOptions options) : options_(std::move(options)) {}

  Result<std::string> follow(const Instance&, const Instance& shadow, Millis timeout, const act::Progress& progress,
                             std::stop_token stop) override {
    const auto deadline = Steady::now() + timeout;
    int good = 0;
    for (;;) {
      const auto answer = probe(shadow, options_, stop);
      if (stop.stop_requested()) return fail(Code::cancelled, "told to stop while the shadow came up");
      good = answer ? good + 1 : 0;
      if (good >= options_.probe_successes)
        return fmt::format("{} answered {} good probes in a row, the last in {} ms", shadow.id, good, answer->count());
      if (progress)
        progress(static_cast<double>(good) / options_.probe_successes,
                 answer ? fmt::format("{} of {} good probes", good, options_.probe_successes) : answer.error().what);
      const auto left = std::chrono::duration_cast<Millis>(deadline - Steady::now());
      if (left <= Millis{0})
        return fail(Code::timeout, fmt::format("{} was not ready within {} ms: {}", shadow.id, timeout.count(),
                                               answer ? "too few good probes in a row" : answer.error().what));
      if (!pause(std::min(left, options_.probe_interval), stop))
        return fail(Code::cancelled, "told to stop while the shadow came up");
    }
  }
  Result<act::ReplicaState> state(const Instance&, const Instance& shadow, std::stop_token stop) override {
    const auto answer = probe(shadow, options_, stop);
    if (!answer && stop.stop_requested()) return fail(Code::cancelled, "told to stop");
    act::ReplicaState state;
    state.following = answer.has_value();
    // Data that is shared cannot lag.
    if (answer) state.lag = Millis{0};
    state.detail = answer ? fmt::format("answers in {} ms", answer->count()) : answer.error().what;
    return state;
  }
  Result<void> forget(const Instance&, const Instance&, std::stop_token) override { return {}; }

 private:
  HttpOptions options_;
};

class ReadinessPromoter final : public act::Promoter {
 public:
  explicit ReadinessPromoter(HttpOptions options) : options_(std::move(options)) {}

  Result<std::string> prepare(const act::Authority&, const Instance&, const Instance&, std::stop_token) override {
    return std::string("nothing to prepare: the data lives elsewhere");
  }
  Result<std::string> prove_equal(const act::Authority&, const Instance&, const Instance& shadow,
                                  std::stop_token stop) override {
    FS_TRY(took, probe(shadow, options_, stop));
    return fmt::format("data is shared, nothing to compare; {} answered its probe in {} ms", shadow.id, took.count());
  }
  Result<std::string> fence(const act::Authority&, const Instance& primary, const Instance&, std::stop_token) override {
    return fmt::format("{} was not fenced: it shares its data with the shadow, and the gateways send it no more work",
                       primary.id);
  }
  Result<act::Finding> check_fenced(const act::Authority&, const Instance&, const Instance&, const std::string&,
                                    std::stop_token) override {
    return act::Finding{"nothing to check: the data lives elsewhere"};
  }
  Result<act::Finding> assess(const act::Authority&, const Instance&, const Instance&, std::uint64_t,
                              std::stop_token) override {
    return act::Finding{"nothing to bring over: the data lives elsewhere"};
  }
  Result<std::string> promote(const act::Authority&, const Instance& shadow, std::stop_token) override {
    return fmt::format("{} needs no promotion: it could serve writes all along", shadow.id);
  }
  Result<bool> writable(const Instance& instance, std::stop_token stop) override {
    const auto answer = probe(instance, options_, stop);
    if (answer) return true;
    if (answer.error().code == Code::cancelled) return tl::make_unexpected(answer.error());
    return false;
  }
  Result<std::string> revive(const act::Authority&, const Instance& primary, std::stop_token) override {
    return fmt::format("{} was never stopped", primary.id);
  }
  Result<std::string> rejoin(const act::Authority&, const Instance& old_primary, const Instance&,
                             std::stop_token) override {
    return fmt::format("{} follows nobody: mirrored requests are all that it gets", old_primary.id);
  }

 private:
  HttpOptions options_;
};

}  // namespace

std::unique_ptr<act::Replicator> make_replicator(HttpOptions options) {
  return std::make_unique<ReadinessReplicator>(std::move(options));
}
std::unique_ptr<act::Promoter> make_promoter(HttpOptions options) {
  return std::make_unique<ReadinessPromoter>(std::move(options));
}

}  // namespace foreshadow::kinds::http
