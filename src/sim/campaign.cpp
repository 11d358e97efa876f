#include "sim/campaign.hpp"

#include <fmt/format.h>

#include <atomic>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <mutex>
#include <thread>
#include <vector>

#include "sim/run.hpp"

namespace foreshadow::sim {
namespace {

const char* name_of_mode(Mode mode) { return mode == Mode::safety ? "safety" : "liveness"; }

struct Totals {
  std::mutex mutex;
  std::uint64_t runs = 0;
  std::uint64_t events = 0, handovers = 0, aborted = 0, failovers = 0, lost = 0, controller_crashes = 0, gateway_crashes = 0, outcomes = 0;
  int failures = 0;
};

void count(Totals& totals, const RunReport& report, const CampaignSettings& settings) {
  const std::lock_guard lock(totals.mutex);
  ++totals.runs;
  totals.events += static_cast<std::uint64_t>(report.events);
  totals.handovers += static_cast<std::uint64_t>(report.handovers);
  totals.aborted += static_cast<std::uint64_t>(report.aborted);
  totals.failovers += static_cast<std::uint64_t>(report.failovers);
  totals.lost += report.lost;
  totals.controller_crashes += static_cast<std::uint64_t>(report.controller_crashes);
  totals.gateway_crashes += static_cast<std::uint64_t>(report.gateway_crashes);
  totals.outcomes += static_cast<std::uint64_t>(report.outcomes);
  for (const auto& line : report.trace) fmt::print("{}\n", line);
  if (report.violation.empty()) return;
  ++totals.failures;
  fmt::print("seed {} ({}): {}\n  replay: foreshadow sim --seeds {} --mode {} --trace\n", report.seed,
             name_of_mode(report.mode), report.violation, report.seed, name_of_mode(report.mode));
  (void)settings;
}

}  // namespace

Result<CampaignSettings> parse_seeds(const std::string& text) {
  CampaignSettings settings;
  const auto number = [](std::string_view part) -> std::optional<std::uint64_t> {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), value);
    if (error != std::errc{} || end != part.data() + part.size() || part.empty()) return std::nullopt;
    return value;
  };
  const auto dots = text.find("..");
  const auto from = number(std::string_view(text).substr(0, dots));
  const auto to = dots == std::string::npos ? from : number(std::string_view(text).substr(dots + 2));
  if (!from || !to || *to < *from)
    return fail(Code::invalid, fmt::format("'{}' names no seeds: write one number, or A..B with A not above B", text));
  settings.from = *from;
  settings.to = *to;
  return settings;
}

int run_campaign(const CampaignSettings& settings) {
  Totals totals;
  std::atomic<std::uint64_t> next{settings.from};
  const auto began = std::chrono::steady_clock::now();
  const auto work = [&] {
    for (;;) {
      const auto seed = next.fetch_add(1);
      {
        const std::lock_guard lock(totals.mutex);
        if (seed > settings.to || totals.failures >= settings.failures_max) return;
      }
      RunSettings one{seed, settings.mode.value_or(seed % 2 == 0 ? Mode::liveness : Mode::safety), settings.trace};
      auto report = run(one);
      if (settings.twice && report.violation.empty()) {
        const auto again = run(one);
        if (again.digest != report.digest || again.events != report.events)
          report.violation = "a second run with the same seed had another history: something outside the seed decides";
      }
      count(totals, report, settings);
    }
  };
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < std::max(1, settings.jobs); ++i) threads.emplace_back(work);
    const auto total = settings.to - settings.from + 1;
    for (auto told = began;;) {
      std::this_thread::sleep_for(std::chrono::milliseconds{50});
      const std::lock_guard lock(totals.mutex);
      if (totals.runs >= total || totals.failures >= settings.failures_max) break;
      const auto now = std::chrono::steady_clock::now();
      if (now - told < std::chrono::seconds{2}) continue;
      told = now;
      fmt::print(stderr, "  {} of {} seeds, {} failed\n", totals.runs, total, totals.failures);
    }
  }
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  fmt::print("{} seeds in {:.1f} s: {} events, {} handover attempts, {} aborts, {} failovers with {} commits lost and told, {} "
             "outcomes; {} controllers and {} gateways killed; {} failed\n",
             totals.runs, seconds, totals.events, totals.handovers, totals.aborted, totals.failovers, totals.lost, totals.outcomes,
             totals.controller_crashes, totals.gateway_crashes, totals.failures);
  return totals.failures == 0 ? 0 : 1;
}

}  // namespace foreshadow::sim
