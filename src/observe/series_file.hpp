// The SQLite file behind the series store: samples in, samples out. Only ever history, so: no waiting for the disk
// beyond what WAL needs to stay consistent, and damage means a fresh file, the old one kept beside it as
// "<path>.damaged".
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include "base/result.hpp"
#include "base/time.hpp"
#include "domain/window.hpp"

struct sqlite3;
struct sqlite3_stmt;

namespace foreshadow::observe {

struct SeriesKey {
  ResourceId resource;
  InstanceId instance;
  std::string signal;
  friend auto operator<=>(const SeriesKey&, const SeriesKey&) = default;
};

struct StoredSample {
  std::shared_ptr<const SeriesKey> key;  // shared with the ring it came from: names are long, samples many
  Sample sample;
};

// Not thread-safe. Every error is an Error: corrupt (damaged; call start_afresh), io (disk full, no permission ...).
class SeriesFile {
 public:
  static Result<SeriesFile> open(const std::string& path);
  SeriesFile(SeriesFile&& other) noexcept;
  SeriesFile& operator=(SeriesFile&& other) noexcept;
  ~SeriesFile();

  // In one transaction: all or none.
  Result<void> write(std::span<const StoredSample> samples);
  // Calls back for each series with at most `samples_max` newest samples, oldest first, none older than `retention`
  // before the newest sample in the file.
  Result<void> load(Millis retention, std::size_t samples_max,
                    const std::function<void(const SeriesKey&, std::vector<Sample>)>& each);
  Result<std::vector<Sample>> read(const SeriesKey& key, Time from, Time to);
  Result<void> prune(Time oldest);

 private:
  explicit SeriesFile(sqlite3* db) : db_(db) {}
  Result<std::int64_t> series_id(const SeriesKey& key);
  void close();

  sqlite3* db_ = nullptr;
  std::map<SeriesKey, std::int64_t> ids_;
};

// Moves a damaged file out of the way and removes its journal files. Replaces an earlier moved one.
Result<void> move_aside(const std::string& path);

}  // namespace foreshadow::observe
