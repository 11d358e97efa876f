// The continuous experiment that keeps a mirror harmless: it mirrors in most slots of time and in one of each block of
// them, drawn by chance, not; compares how fast the *primary* answered; and slows the mirror down on evidence of harm.
// Pure: time and chance are arguments.
//
// Slots rather than single requests are drawn, because a copy harms whoever comes after it, on the thread, the machine
// or the data that both sides share: of two requests in the same millisecond both would suffer (a switchback
// experiment: Bojinov, Simchi-Levi and Zhao, Management Science 2023, arXiv:2009.00148). If mirroring does nothing, the
// slot without it is any of its block's, whatever the latencies: bursts, trends and their correlation cannot mislead.
// How it compares with the others is then a fair bet, and Evidence adds the bets up.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/random.hpp"
#include "domain/gateway_report.hpp"
#include "kinds/http/trial/evidence.hpp"

namespace foreshadow::kinds::http {

struct TrialSettings {
  std::chrono::milliseconds slot{50};
  double alpha =
      0.01;  // chance that a mirror without harm is ever slowed down, from one change for the worse to the next
  // Harm is what makes answers slower by more than the greater of these.
  double harmless_share = 0.05;
  std::chrono::microseconds harmless_delay{100};
  double rate_min = 0.01;
  double rate_step = 0.05;   // grown by
  int calm_blocks = 30;      // judged without much evidence before the rate grows
  double calm_evidence = 4;  // what is not much
  // Blocks begin at fixed points of the clock, and this says which slot of each is without mirroring: trials of several
  // threads with the same number have the same slots, and none sees the others' copies in its slots without. Nothing:
  // a block begins with its first request, and chance says it.
  std::optional<std::uint64_t> in_step;
};

// Some slots of time, one of them without mirroring, and what came in them.
struct TrialBlock {
  static constexpr std::size_t kSlots = 20;
  struct Sample {
    std::uint16_t segment = 0;
    std::uint16_t bucket = 0;
  };
  struct Slot {
    std::vector<Sample> samples;         // as they are
    std::vector<Sample> slowed;          // the same, each slower by what is harmless
    std::vector<std::uint16_t> pending;  // admitted and not answered, by segment
  };
  std::uint64_t id = 0;
  std::chrono::steady_clock::time_point begins;
  std::size_t control = 0;
  std::array<Slot, kSlots> slots;
};

// Not thread-safe.
class MirrorTrial {
 public:
  using Steady = std::chrono::steady_clock;
  static constexpr std::size_t kSlots = TrialBlock::kSlots;

  // An eligible request: what becomes of it, and its place in the trial until it is answered.
  struct Ticket {
    enum class Fate { mirrored, control, throttled };
    Fate fate = Fate::mirrored;
    std::uint64_t block = 0;
    std::size_t slot = 0;
    std::size_t segment = 0;
  };

  MirrorTrial(TrialSettings settings, std::uint64_t seed);

  // A request comes that is to be mirrored.
  Ticket admit(std::size_t segment, Steady::time_point now);
  // The primary has answered it. `ok`: false counts as slower than everything.
  void finish(const Ticket& ticket, bool ok, std::chrono::microseconds took);
  // It tells nothing of the primary: its client gave up.
  void forget(const Ticket& ticket);

  MirrorPace pace() const;

 private:
  using Block = TrialBlock;
  void turn(Steady::time_point now);
  void begin(Steady::time_point now);
  // How much faster the slot without mirroring was: the share of slots that were slower less that of those that were
  // faster. Nothing if there was too little to compare.
  static std::optional<double> lead(const Block& block);
  void judge(const Block& block);
  Block* find(std::uint64_t id);

  const TrialSettings settings_;
  Random random_;
  std::uint64_t blocks_begun_ = 0;
  std::optional<Block> now_, last_;  // requests of the last block are waited for while the next one runs
  Evidence evidence_;
  double rate_ = 1;
  int calm_ = 0;
  std::uint64_t judged_ = 0, slowed_down_ = 0, control_ = 0;
};

}  // namespace foreshadow::kinds::http
