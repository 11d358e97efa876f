// Runs every source at its own pace on a thread of its own, so that a hung one costs only its own signals, which go
// stale. A scrape that outlives its interval is counted, and the missed ones are skipped, never queued.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/time.hpp"
#include "domain/resource.hpp"
#include "observe/source.hpp"

namespace foreshadow::observe {

struct Pace {
  Millis interval{1000};
  // After this, stop is requested of the scrape and whatever it still brings is dropped.
  Millis timeout{1000};
};

using SourceId = std::uint64_t;

struct SourceStatus {
  SourceId id = 0;
  ResourceId resource;
  std::string name;
  std::uint64_t scrapes = 0;
  std::uint64_t failures = 0;  // the source said so, or threw
  std::uint64_t timeouts = 0;  // late, so dropped
  std::uint64_t overruns = 0;  // turns skipped
  std::optional<Time> last_success;
  std::string last_error;  // empty after a success
};

// Thread-safe.
class Scheduler {
 public:
  // Called on the source's thread for every scrape that came in time.
  using Sink = std::function<void(const ResourceId& resource, std::vector<Reading> readings, Time at)>;

  // `clock` stamps the readings; both outlive the scheduler. Intervals run on the monotonic clock.
  Scheduler(Clock& clock, Sink sink);
  // Stops every source. One that does not return within its timeout is abandoned: its thread owns it and touches
  // nothing of ours any more.
  ~Scheduler();

  SourceId add(ResourceId resource, std::unique_ptr<Source> source, Pace pace);
  // After it returns the sink is not called for this source again. Must not be called from the sink.
  void remove(SourceId id);
  std::vector<SourceStatus> status() const;

 private:
  struct Job;
  struct Shared;
  static void stop(Job& job);
  static void await(Job& job);
  std::unique_ptr<Shared> shared_;
};

}  // namespace foreshadow::observe
