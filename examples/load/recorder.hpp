// What the load's clients saw, counted once for every load generator, so that both scenes mean the same by "failed".
// Thread-safe.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <map>
#include <mutex>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "load/schedule.hpp"

namespace load {

// A request was answered as it should be, or failed in a way that has a name: "status_503", "reset", "refused",
// "timeout", "dropped" (an idle connection closed unannounced), "sqlstate_53100", "connection", "protocol".
struct Answer {
  std::string kind;  // "read", "write"
  Micros due{0};     // since the start, as scheduled
  Micros done{0};
  std::optional<std::string> failure;
};

class Recorder {
 public:
  // Operations acknowledged to the client are appended to `acknowledged_file`, one a line; empty: nowhere.
  // Throws std::runtime_error if the file cannot be written.
  explicit Recorder(const std::string& acknowledged_file);
  ~Recorder();
  Recorder(const Recorder&) = delete;
  Recorder& operator=(const Recorder&) = delete;

  void start();
  Micros now() const;
  SteadyTime at(Micros offset) const { return started_ + offset; }

  void record(const Answer& answer);
  // A failure that belongs to no request: a connection lost while idle.
  void failed_connection(const std::string& why);
  void acknowledged(const std::string& op);
  // Free numbers for the report ("read_staleness_ms_max"): the largest seen is kept.
  void largest(const std::string& name, double value);

  // One line, for whoever watches the run.
  nlohmann::json live() const;
  // Everything. Latencies are milliseconds from the scheduled time; the timeline is by the second it was scheduled in.
  nlohmann::json report() const;

 private:
  struct Second {
    std::uint64_t requests = 0, failed = 0;
    Micros worst{0};
  };
  void count_failure(const std::string& why, Micros at);

  mutable std::mutex mutex_;
  SteadyTime started_;
  std::int64_t started_wall_ms_ = 0;
  std::FILE* acknowledged_file_ = nullptr;
  std::uint64_t requests_ = 0, failed_ = 0, acknowledged_ = 0;
  std::map<std::string, std::uint64_t> by_kind_, by_failure_;
  std::map<std::string, double> largest_;
  std::optional<Micros> first_failure_, last_failure_;
  std::string first_failure_why_;
  Micros worst_{0};
  // Four bytes a request: an hour at 1000 a second is 14 MB.
  std::vector<std::uint32_t> latencies_us_;
  std::vector<Second> timeline_;
};

// Writes `report` to `path` whole or not at all. Throws std::runtime_error.
void write_report(const std::string& path, const nlohmann::json& report);

}  // namespace load
