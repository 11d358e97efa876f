// What the load generators' command lines have in common.
#pragma once

#include <CLI/CLI.hpp>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "load/recorder.hpp"

namespace load {

inline volatile std::sig_atomic_t interrupted = 0;

struct CommonOptions {
  double rate_per_s = 100;
  double seconds = 10;
  std::uint64_t seed = 1;
  double timeout_s = 10;
  std::string out;
  std::string acknowledged;
  std::string until_file;
  int live_ms = 0;

  void add_to(CLI::App& app) {
    app.add_option("--rate", rate_per_s, "Requests a second, in all")
        ->check(CLI::PositiveNumber)
        ->capture_default_str();
    app.add_option("--seconds", seconds, "How long")->check(CLI::Range(0.1, 3600.0))->capture_default_str();
    app.add_option("--seed", seed, "Of the arrival times and of what each request is")->capture_default_str();
    app.add_option("--timeout", timeout_s, "Seconds from the scheduled time to giving up")
        ->check(CLI::Range(0.1, 600.0))
        ->capture_default_str();
    app.add_option("--out", out, "Where the JSON report goes (default: standard output)");
    app.add_option("--acknowledged", acknowledged, "Where acknowledged operations go, one a line");
    app.add_option("--until-file", until_file, "End early once this file exists");
    app.add_option("--live", live_ms, "Print a JSON line every so many milliseconds")->check(CLI::Range(50, 60'000));
  }

  Micros length() const { return Micros{static_cast<std::int64_t>(seconds * 1e6)}; }
  Micros timeout() const { return Micros{static_cast<std::int64_t>(timeout_s * 1e6)}; }

  bool told_to_stop() const {
    std::error_code ignored;
    return interrupted != 0 || (!until_file.empty() && std::filesystem::exists(until_file, ignored));
  }
};

// SIGINT and SIGTERM end the schedule; the report is still written.
inline void stop_on_signals() {
  struct sigaction action{};
  action.sa_handler = [](int) { interrupted = 1; };
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

// Prints the live line when its time has come.
class LivePrinter {
 public:
  LivePrinter(const Recorder& recorder, int every_ms)
      : recorder_(recorder), every_(std::chrono::milliseconds{every_ms}) {}
  void tick() {
    if (every_ == Micros{0} || recorder_.now() < next_) return;
    next_ = recorder_.now() + every_;
    std::printf("%s\n", recorder_.live().dump().c_str());
    std::fflush(stdout);
  }

 private:
  const Recorder& recorder_;
  Micros every_;
  Micros next_{0};
};

inline void deliver(const CommonOptions& options, const nlohmann::json& report) {
  if (options.out.empty())
    std::printf("%s\n", report.dump(1).c_str());
  else
    write_report(options.out, report);
}

}  // namespace load
