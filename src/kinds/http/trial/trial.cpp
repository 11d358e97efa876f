#include "kinds/http/trial/trial.hpp"

#include <algorithm>
#include <bit>

#include "proxy/sticky.hpp"

namespace foreshadow::kinds::http {
namespace {

// Latencies by their order: 32 buckets an octave of microseconds, to over an hour, and one for what has no latency.
constexpr int kOctaveBits = 5;
constexpr std::uint16_t kSlowest = 32 << kOctaveBits;

std::uint16_t bucket_of(std::chrono::microseconds took) {
  const auto us = static_cast<std::uint64_t>(std::max<std::chrono::microseconds::rep>(1, took.count()));
  const int octave = std::bit_width(us) - 1;
  const auto scaled = octave >= kOctaveBits ? us >> (octave - kOctaveBits) : us << (kOctaveBits - octave);
  const auto within = scaled & ((1U << kOctaveBits) - 1);
  return static_cast<std::uint16_t>(
      std::min<std::uint64_t>((static_cast<std::uint64_t>(octave) << kOctaveBits) + within, kSlowest - 1));
}

// Enough to compare slots by, and little enough to compare in a moment.
constexpr std::size_t kSamplesMax = 256;  // of a slot
constexpr std::size_t kSegmentsMax = 64;  // those beyond are one
constexpr std::size_t kComparedMin = 5;   // slots in which somebody came

// Ranks of latencies among all of their segment's: between 0 and 1, those that are equal in the middle of their places.
class Ranks {
 public:
  void count(const auto& samples) {
    for (const auto& sample : samples) ++of(sample.segment)[sample.bucket];
  }
  void rank() {
    for (auto& places : segments_) {
      double before = 0, all = 0;
      for (const double n : places) all += n;
      for (auto& n : places) {
        const double here = n;
        n = (before + here / 2) / std::max(all, 1.0);
        before += here;
      }
    }
  }
  double at(const auto& sample) { return of(sample.segment)[sample.bucket]; }

 private:
  std::vector<double>& of(std::size_t segment) {
    if (segments_.size() <= segment) segments_.resize(segment + 1);
    if (segments_[segment].empty()) segments_[segment].resize(kSlowest + 1);
    return segments_[segment];
  }
  std::vector<std::vector<double>> segments_;
};

}  // namespace

MirrorTrial::MirrorTrial(TrialSettings settings, std::uint64_t seed) : settings_(settings), random_(seed) {}

void MirrorTrial::begin(Steady::time_point now) {
  now_.emplace();
  now_->id = ++blocks_begun_;
  if (settings_.in_step) {
    const Steady::duration length = settings_.slot * kSlots;
    const auto nth = now.time_since_epoch() / length;
    now_->begins = Steady::time_point(nth * length);
    now_->control = static_cast<std::size_t>(proxy::mix(*settings_.in_step ^ static_cast<std::uint64_t>(nth)) % kSlots);
    return;
  }
  now_->begins = now;
  now_->control = static_cast<std::size_t>(random_.below(kSlots));
}

void MirrorTrial::turn(Steady::time_point now) {
  if (now_ && now < now_->begins + settings_.slot * kSlots) return;
  if (last_) judge(*last_);
  last_ = std::move(now_);
  begin(now);
}

MirrorTrial::Ticket MirrorTrial::admit(std::size_t segment, Steady::time_point now) {
  turn(now);
  Ticket ticket;
  ticket.block = now_->id;
  ticket.segment = std::min(segment, kSegmentsMax);
  // A clock that is read in another order than requests come puts them into the first slot, not before it.
  const auto since = std::max(Steady::duration::zero(), now - now_->begins);
  ticket.slot = static_cast<std::size_t>(since / settings_.slot);
  auto& slot = now_->slots[ticket.slot];
  if (slot.pending.size() <= ticket.segment) slot.pending.resize(ticket.segment + 1);
  if (slot.pending[ticket.segment] < kSamplesMax) ++slot.pending[ticket.segment];
  if (ticket.slot == now_->control) {
    ticket.fate = Ticket::Fate::control;
    ++control_;
  } else if (rate_ < 1 && !random_.chance(rate_)) {
    ticket.fate = Ticket::Fate::throttled;
  }
  return ticket;
}

MirrorTrial::Block* MirrorTrial::find(std::uint64_t id) {
  for (auto* block : {&now_, &last_})
    if (*block && (*block)->id == id) return &**block;
  return nullptr;
}

void MirrorTrial::forget(const Ticket& ticket) {
  auto* block = find(ticket.block);
  if (!block) return;
  auto& pending = block->slots[ticket.slot].pending[ticket.segment];
  if (pending > 0) --pending;
}

void MirrorTrial::finish(const Ticket& ticket, bool ok, std::chrono::microseconds took) {
  auto* block = find(ticket.block);
  if (!block) return;
  forget(ticket);
  auto& slot = block->slots[ticket.slot];
  if (slot.samples.size() >= kSamplesMax) return;
  const auto segment = static_cast<std::uint16_t>(ticket.segment);
  const auto more = std::max(settings_.harmless_delay,
                             std::chrono::duration_cast<std::chrono::microseconds>(took * settings_.harmless_share));
  slot.samples.push_back({segment, ok ? bucket_of(took) : kSlowest});
  slot.slowed.push_back({segment, ok ? bucket_of(took + more) : kSlowest});
}

std::optional<double> MirrorTrial::lead(const Block& block) {
  // Whoever still waits is slower than everybody.
  std::array<std::vector<TrialBlock::Sample>, kSlots> all;
  for (std::size_t i = 0; i < kSlots; ++i) {
    const auto& slot = block.slots[i];
    // That mirroring makes answers a little slower is no harm: the slot without it is judged as if it were slower.
    all[i] = i == block.control ? slot.slowed : slot.samples;
    for (std::size_t segment = 0; segment < slot.pending.size(); ++segment)
      for (int n = 0; n < slot.pending[segment] && all[i].size() < 2 * kSamplesMax; ++n)
        all[i].push_back({static_cast<std::uint16_t>(segment), kSlowest});
  }
  if (all[block.control].empty()) return std::nullopt;
  Ranks ranks;
  for (const auto& slot : all) ranks.count(slot);
  ranks.rank();
  const auto mean = [&](const std::vector<TrialBlock::Sample>& slot) {
    double sum = 0;
    for (const auto& sample : slot) sum += ranks.at(sample);
    return sum / static_cast<double>(slot.size());
  };
  const double control = mean(all[block.control]);
  std::size_t compared = 1;
  int slower = 0;
  for (std::size_t i = 0; i < kSlots; ++i) {
    if (i == block.control || all[i].empty()) continue;
    ++compared;
    const double other = mean(all[i]);
    slower += (other > control) - (other < control);
  }
  if (compared < kComparedMin) return std::nullopt;
  return slower / static_cast<double>(compared);
}

void MirrorTrial::judge(const Block& block) {
  const auto bet = lead(block);
  if (!bet) return;
  ++judged_;
  evidence_.add(*bet);
  if (evidence_.value() >= 1 / settings_.alpha) {
    rate_ = std::max(settings_.rate_min, rate_ / 2);
    ++slowed_down_;
    calm_ = 0;
    evidence_ = {};
    // What runs was begun at the old rate, and says nothing of the new one.
    now_.reset();
    return;
  }
  if (evidence_.value() >= settings_.calm_evidence) {
    calm_ = 0;
  } else if (++calm_ >= settings_.calm_blocks) {
    rate_ = std::min(1.0, rate_ + settings_.rate_step);
    calm_ = 0;
  }
}

MirrorPace MirrorTrial::pace() const {
  return {.rate = rate_,
          .evidence = evidence_.value(),
          .blocks = judged_,
          .slowed_down = slowed_down_,
          .control = control_};
}

}  // namespace foreshadow::kinds::http
