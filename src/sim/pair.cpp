#include "sim/pair.hpp"

#include <fmt/format.h>

#include <array>

#include "sim/run.hpp"

namespace foreshadow::sim {
namespace {

struct Absence {
  const char* name;
  std::optional<Millis> down;
  bool removed;
};
constexpr std::array kAbsences{
    Absence{"back in 60 ms", Millis{60}, false}, Absence{"back in 25 s", Millis{25'000}, false},
    Absence{"never back", std::nullopt, false}, Absence{"removed, back in 25 s", Millis{25'000}, true},
    Absence{"removed, never back", std::nullopt, true}};

RunSettings settings_of(std::uint64_t seed, PairKill kill) { return {seed, Mode::liveness, false, kill}; }

}  // namespace

PairReport run_pair(std::uint64_t seed) {
  PairReport report;
  for (const bool shares_data : {false, true}) {
    const auto calm = run(settings_of(seed, {.shares_data = shares_data}));
    if (!calm.violation.empty() || calm.epoch == 0)
      report.broken.push_back(fmt::format("nobody killed, {} data: {}", shares_data ? "shared" : "own",
                                          calm.violation.empty() ? "no handover" : calm.violation));
    for (const auto& absence : kAbsences)
      for (int gateway = 0; gateway < 2; ++gateway)
        for (int step = 1; step <= calm.steps; ++step) {
          const auto one = run(settings_of(seed, {.shares_data = shares_data,
                                                  .gateway = gateway,
                                                  .step = step,
                                                  .down = absence.down,
                                                  .removed = absence.removed}));
          ++report.runs;
          report.handed_over += one.epoch > 0 ? 1 : 0;
          // One that is back at once, or accounted for, keeps nobody from it. While one is away the primary may die,
          // and a database whose handover had not begun is then no longer handed over.
          const bool must = absence.removed || (absence.down && *absence.down < Millis{1000});
          const auto what = !one.violation.empty() ? one.violation : must && one.epoch == 0 ? "no handover" : "";
          if (!what.empty())
            report.broken.push_back(fmt::format("gw{} killed after step {} of {}, {}, {} data: {}", gateway, step,
                                                calm.steps, absence.name, shares_data ? "shared" : "own", what));
        }
  }
  return report;
}

}  // namespace foreshadow::sim
