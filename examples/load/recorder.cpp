#include "load/recorder.hpp"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>

namespace load {
namespace {

double to_ms(Micros d) { return static_cast<double>(d.count()) / 1000.0; }
double to_s(Micros d) { return static_cast<double>(d.count()) / 1e6; }

// Sorts what it is given.
nlohmann::json quantiles(std::vector<std::uint32_t> latencies_us) {
  nlohmann::json out = nlohmann::json::object();
  std::ranges::sort(latencies_us);
  for (const auto& [name, q] : {std::pair{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p999", 0.999}, {"max", 1.0}}) {
    const auto n = latencies_us.size();
    if (n == 0) {
      out[name] = nullptr;
      continue;
    }
    const auto rank = static_cast<std::size_t>(std::ceil(q * static_cast<double>(n)));
    out[name] = latencies_us[std::max<std::size_t>(rank, 1) - 1] / 1000.0;
  }
  return out;
}

}  // namespace

Recorder::Recorder(const std::string& acknowledged_file) {
  if (acknowledged_file.empty()) return;
  acknowledged_file_ = std::fopen(acknowledged_file.c_str(), "we");
  if (acknowledged_file_ == nullptr)
    throw std::runtime_error("cannot write " + acknowledged_file + ": " + std::strerror(errno));
}
Recorder::~Recorder() {
  if (acknowledged_file_ != nullptr) std::fclose(acknowledged_file_);
}

void Recorder::start() {
  started_ = std::chrono::steady_clock::now();
  started_wall_ms_ =
      std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch())
          .count();
}
Micros Recorder::now() const { return std::chrono::duration_cast<Micros>(std::chrono::steady_clock::now() - started_); }

void Recorder::record(const Answer& answer) {
  const std::scoped_lock lock(mutex_);
  const auto latency = std::max(answer.done - answer.due, Micros{0});
  ++requests_;
  ++by_kind_[answer.kind];
  worst_ = std::max(worst_, latency);
  latencies_us_.push_back(static_cast<std::uint32_t>(std::min<std::int64_t>(latency.count(), UINT32_MAX)));
  const auto second = static_cast<std::size_t>(answer.due.count() / 1'000'000);
  if (timeline_.size() <= second) timeline_.resize(second + 1);
  auto& bucket = timeline_[second];
  ++bucket.requests;
  bucket.worst = std::max(bucket.worst, latency);
  if (!answer.failure) return;
  ++bucket.failed;
  count_failure(*answer.failure, answer.done);
}

void Recorder::failed_connection(const std::string& why) {
  const auto at = now();
  const std::scoped_lock lock(mutex_);
  count_failure(why, at);
}

void Recorder::count_failure(const std::string& why, Micros at) {
  ++failed_;
  ++by_failure_[why];
  if (!first_failure_ || at < *first_failure_) {
    first_failure_ = at;
    first_failure_why_ = why;
  }
  if (!last_failure_ || at > *last_failure_) last_failure_ = at;
}

void Recorder::acknowledged(const std::string& op) {
  const std::scoped_lock lock(mutex_);
  ++acknowledged_;
  if (acknowledged_file_ != nullptr) std::fprintf(acknowledged_file_, "%s\n", op.c_str());
}

void Recorder::largest(const std::string& name, double value) {
  const std::scoped_lock lock(mutex_);
  const auto [it, added] = largest_.try_emplace(name, value);
  if (!added) it->second = std::max(it->second, value);
}

nlohmann::json Recorder::live() const {
  const auto t = now();
  const std::scoped_lock lock(mutex_);
  return {{"t_s", to_s(t)},
          {"started_at_ms", started_wall_ms_},
          {"requests", requests_},
          {"failed", failed_},
          {"writes_acknowledged", acknowledged_},
          {"stall_ms_max", to_ms(worst_)},
          {"first_failure_s", first_failure_ ? nlohmann::json(to_s(*first_failure_)) : nlohmann::json(nullptr)}};
}

nlohmann::json Recorder::report() const {
  auto out = live();
  const std::scoped_lock lock(mutex_);
  out["by_kind"] = by_kind_;
  out["failed_by_class"] = by_failure_;
  out["first_failure"] = first_failure_why_;
  out["last_failure_s"] = last_failure_ ? nlohmann::json(to_s(*last_failure_)) : nlohmann::json(nullptr);
  out["latency_ms"] = quantiles(latencies_us_);
  for (const auto& [name, value] : largest_) out[name] = value;
  auto& timeline = out["timeline"] = nlohmann::json::array();
  for (std::size_t t = 0; t < timeline_.size(); ++t)
    timeline.push_back({{"t_s", t},
                        {"requests", timeline_[t].requests},
                        {"failed", timeline_[t].failed},
                        {"latency_ms_max", to_ms(timeline_[t].worst)}});
  return out;
}

void write_report(const std::string& path, const nlohmann::json& report) {
  const auto temporary = path + ".new";
  std::ofstream file(temporary);
  file << report.dump(1) << '\n';
  file.close();
  std::error_code error;
  if (file) std::filesystem::rename(temporary, path, error);
  if (!file || error) throw std::runtime_error("cannot write " + path);
}

}  // namespace load
