// What goes wrong in one simulated run, and how often: drawn once from the seed, so that some runs are calm and some are
// hell (a uniform rate of faults misses both).
#pragma once

#include "base/random.hpp"
#include "base/time.hpp"

namespace foreshadow::sim {

// safety: any fault at any moment, and the invariants hold always. liveness: at `heal_at` the faults stop, everything
// that is down comes back, and the run must converge.
enum class Mode { safety, liveness };

struct Faults {
  double controller_crash = 0;   // at each journal write and each start of an effect
  double controller_pause = 0;   // at each event: stopped past every lease, then continued
  double gateway_crash = 0;      // per second and gateway
  double gateway_cut = 0;        // per second and gateway: does not answer for a while
  double effect_fails = 0;       // refused, nothing done
  double answer_lost = 0;        // done, but the answer says timeout
  double provisioner_garbage = 0;
  double outsider = 0;           // per second: commits beside the gateways
  double revive_fails = 0;       // a full volume
  double drain_slow = 0;
  double primary_dies = 0;       // per second, unforeseen
  double shadow_dies = 0;        // per second
  double unknown_outlook = 0;
  double operator_acts = 0;      // per second
  double primary_hangs = 0;      // per second: it runs, and answers nobody for a while
  double misjudged = 0;          // per second: a primary that lives is taken for dead
  double disk_unreadable = 0;    // of one that died
  double log_recycled = 0;       // of one that died: some of what its shadow lacks is no longer in its log

  static Faults draw(Random& random) {
    const auto rate = [&](double most) { return random.chance(0.5) ? 0.0 : most * random.uniform() * random.uniform(); };
    Faults f;
    f.controller_crash = rate(0.01);
    f.controller_pause = rate(0.005);
    f.gateway_crash = rate(0.1);
    f.gateway_cut = rate(0.1);
    f.effect_fails = rate(0.4);
    f.answer_lost = rate(0.3);
    f.provisioner_garbage = rate(0.3);
    f.outsider = rate(2.0);
    f.revive_fails = rate(1.0);
    f.drain_slow = rate(0.5);
    f.primary_dies = rate(0.02);
    f.shadow_dies = rate(0.05);
    f.unknown_outlook = rate(0.5);
    f.operator_acts = rate(0.6);
    f.primary_hangs = rate(0.02);
    f.misjudged = rate(0.05);
    f.disk_unreadable = rate(1.0);
    f.log_recycled = rate(1.0);
    return f;
  }
};

}  // namespace foreshadow::sim
