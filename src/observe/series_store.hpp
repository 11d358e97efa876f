// The recent past of every signal: bounded rings in memory, which windows are cut from, and a SQLite file with
// retention behind them, so that a restart does not forget. History here is worth little: the file is written in
// batches without waiting for the disk, losing the last second is fine, and a damaged file is moved aside and begun
// afresh. It never fails a caller because the disk does: memory goes on, the loss is counted and logged.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "base/time.hpp"
#include "domain/window.hpp"
#include "observe/source.hpp"

namespace foreshadow::observe {

struct SeriesStoreSettings {
  std::string path;  // empty: memory only
  Millis retention{std::chrono::hours{1}};
  std::size_t series_max = 2000;     // further series are refused and counted
  std::size_t samples_max = 2048;    // per series in memory: 32 KiB; older ones only in the file
  std::size_t queued_max = 200'000;  // samples waiting for the disk; past it the oldest are dropped
  Millis flush_every{1000};
  Millis future_max{5000};  // a sample further ahead of now is refused: its clock is wrong
};

// What the score looks at: the limits of one resource's signals and how old a sample may be.
struct SignalSetting {
  std::string name;
  std::optional<Limit> limit;
};
struct ResourceSignals {
  Millis stale_after{2000};
  std::vector<SignalSetting> signals;
};

struct SeriesCounters {
  std::uint64_t accepted = 0;
  std::uint64_t not_finite = 0;
  std::uint64_t out_of_order = 0;  // not after the series' newest sample
  std::uint64_t future = 0;
  std::uint64_t too_many_series = 0;
  std::uint64_t unsaved = 0;  // dropped from the queue or lost with a failed write
  std::uint64_t series = 0;
};

// Thread-safe.
class SeriesStore {
 public:
  // Loads what the file still has within retention of its newest sample. Errors: io, when the directory cannot be used.
  static Result<std::unique_ptr<SeriesStore>> open(SeriesStoreSettings settings);
  virtual ~SeriesStore() = default;  // flushes

  // Readings without a value add nothing: their series goes stale by itself. Bad samples are counted, not stored.
  virtual void append(const ResourceId& resource, std::span<const Reading> readings, Time at, Time now) = 0;
  // Sets limits and staleness for windows of `resource`; replaces earlier ones.
  virtual void watch(const ResourceId& resource, ResourceSignals signals) = 0;
  // All signals of the current side and the shadow within `span` before `now`, from memory. A signal with a limit that
  // the current side (or the shadow, where it has any signal at all) never showed is there without samples, and stale.
  virtual Window window(const ResourceId& resource, const InstanceId& current, const std::optional<InstanceId>& shadow,
                        Time now, Millis span) const = 0;
  // The newest sample, however old.
  virtual std::optional<Sample> latest(const ResourceId& resource, const InstanceId& instance,
                                       const std::string& signal) const = 0;
  // From the file, as far back as retention goes. Blocking.
  virtual Result<std::vector<Sample>> history(const ResourceId& resource, const InstanceId& instance,
                                              const std::string& signal, Time from, Time to) const = 0;
  // Forgets what is older than retention before `now`, in memory and in the file; a series left empty is gone.
  virtual void prune(Time now) = 0;
  // Blocks until everything appended so far is handed to SQLite or given up.
  virtual void flush() = 0;
  virtual SeriesCounters counters() const = 0;
};

}  // namespace foreshadow::observe
