#include "proxy/report_sum.hpp"

#include <algorithm>
#include <tuple>

#include "base/assert.hpp"

namespace foreshadow::proxy {
namespace {

void add(Failures& sum, const Failures& one) {
  for (const auto counter : {&Failures::connect, &Failures::reset, &Failures::timeout, &Failures::protocol,
                             &Failures::status_5xx, &Failures::client_gone})
    sum.*counter += one.*counter;
}

void add(SideStats& sum, const SideStats& one) {
  sum.requests += one.requests;
  sum.errors += one.errors;
  add(sum.failures, one.failures);
  sum.latency.merge(one.latency);
}

void add(MirrorStats& sum, const MirrorStats& one) {
  for (const auto counter : {&MirrorStats::sent, &MirrorStats::dropped, &MirrorStats::paused,
                             &MirrorStats::paused_in_vain, &MirrorStats::errors, &MirrorStats::mismatched})
    sum.*counter += one.*counter;
  sum.latency.merge(one.latency);
}

void add(Refusals& sum, const Refusals& one) {
  for (const auto counter : {&Refusals::parked_too_long, &Refusals::parked_full, &Refusals::queued_too_long,
                             &Refusals::queue_full, &Refusals::circuit_open})
    sum.*counter += one.*counter;
}

void add(SegmentStats& sum, const SegmentStats& one) {
  add(sum.current, one.current);
  add(sum.other, one.other);
  add(sum.mirror, one.mirror);
  add(sum.refusals, one.refusals);
  for (const auto counter :
       {&SegmentStats::refused, &SegmentStats::flowed, &SegmentStats::reentered, &SegmentStats::diverted})
    sum.*counter += one.*counter;
  for (const auto counter : {&InsuranceStats::served, &InsuranceStats::completed, &InsuranceStats::failed})
    sum.insurance.*counter += one.insurance.*counter;
}

int distance_from_closed(CircuitState state) {
  switch (state) {
    case CircuitState::closed:
      return 0;
    case CircuitState::half_open:
      return 1;
    case CircuitState::open:
      break;
  }
  return 2;
}

void add(InstanceStats& sum, const InstanceStats& one) {
  sum.busy += one.busy;
  sum.queued += one.queued;
  sum.waited += one.waited;
  sum.wait.merge(one.wait);
  sum.opened += one.opened;
  const bool further = distance_from_closed(one.circuit) > distance_from_closed(sum.circuit);
  if (further) sum.circuit = one.circuit;
  if (!one.why.empty() && (further || sum.why.empty())) sum.why = one.why;
}

// Threads hold together; one that was not there yet felt nothing.
HoldWaits sum_of(HoldWaits a, const HoldWaits& b) {
  if (a.next_epoch != b.next_epoch) return a.next_epoch > b.next_epoch ? a : b;
  a.drained_in_us = std::max(a.drained_in_us, b.drained_in_us);
  a.waits.merge(b.waits);
  return a;
}

MirrorPace sum_of(const MirrorPace& a, const MirrorPace& b) {
  // What is mirrored of all that came, as far as the samples that each has tell how much came where.
  const auto weight_a = static_cast<double>(a.control) + 1, weight_b = static_cast<double>(b.control) + 1;
  return {.rate = (a.rate * weight_a + b.rate * weight_b) / (weight_a + weight_b),
          .evidence = std::max(a.evidence, b.evidence),
          .blocks = a.blocks + b.blocks,
          .slowed_down = a.slowed_down + b.slowed_down,
          .control = a.control + b.control};
}

// Each of `from` into its like in `to`, or behind those that are there.
template <class T, class Key, class Add>
void merge(std::vector<T>& to, const std::vector<T>& from, Key T::* key, Add add_one) {
  for (const auto& one : from) {
    const auto found = std::ranges::find(to, one.*key, key);
    if (found == to.end())
      to.push_back(one);
    else
      add_one(*found, one);
  }
}

}  // namespace

void add_to(GatewayReport& sum, const GatewayReport& one) {
  FS_ASSERT(sum.resource == one.resource);
  if (std::tie(one.epoch, one.version) < std::tie(sum.epoch, sum.version)) {
    sum.epoch = one.epoch;
    sum.version = one.version;
  }
  sum.hold = std::min(sum.hold, one.hold);
  sum.sessions += one.sessions;
  sum.in_flight += one.in_flight;
  sum.parked += one.parked;
  merge(sum.unmovable, one.unmovable, &Unmovable::reason,
        [](Unmovable& to, const Unmovable& from) { to.sessions += from.sessions; });
  merge(sum.segments, one.segments, &SegmentStats::segment,
        [](SegmentStats& to, const SegmentStats& from) { add(to, from); });
  merge(sum.instances, one.instances, &InstanceStats::instance,
        [](InstanceStats& to, const InstanceStats& from) { add(to, from); });
  if (sum.mirror_pace && one.mirror_pace)
    sum.mirror_pace = sum_of(*sum.mirror_pace, *one.mirror_pace);
  else if (one.mirror_pace)
    sum.mirror_pace = one.mirror_pace;
  if (sum.work_lengths && one.work_lengths)
    sum.work_lengths->merge(*one.work_lengths);
  else if (one.work_lengths)
    sum.work_lengths = one.work_lengths;
  if (sum.hold_waits && one.hold_waits)
    sum.hold_waits = sum_of(*sum.hold_waits, *one.hold_waits);
  else if (one.hold_waits)
    sum.hold_waits = one.hold_waits;
  if (sum.doubt && one.doubt)
    for (const auto counter :
         {&DoubtStats::waiting, &DoubtStats::committed, &DoubtStats::not_committed, &DoubtStats::unknown})
      (*sum.doubt).*counter += (*one.doubt).*counter;
  else if (one.doubt)
    sum.doubt = one.doubt;
  sum.log_lines_dropped += one.log_lines_dropped;
}

}  // namespace foreshadow::proxy
