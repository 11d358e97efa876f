#include "decide/commands.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "decide/aftermath.hpp"
#include "decide/failover.hpp"
#include "decide/handover.hpp"
#include "decide/routes.hpp"

namespace foreshadow::decide {
namespace {

// What is under way, before the point of no return; what is on its way back already goes on.
void give_up(Context& c) {
  auto& l = c.l;
  if (l.phase == Phase::handing_over) return abort_handover(c);
  if (l.phase == Phase::observing || l.phase == Phase::retiring || l.phase == Phase::withdrawing) return;
  l.aborting = true;
  if (l.phase != Phase::watching) c.cancel_pending();
}

// Only where it is this side that a person wants to leave: after a handover that is under way it would be another.
void want_failover(Context& c, const Command& command) {
  auto& l = c.l;
  if (!l.resource.traits.fences) return;
  const bool under_way = l.failover.under_way && l.phase == Phase::handing_over && !past_no_return(l);
  if (!under_way && (l.phase == Phase::handing_over || !successor(l)))
    return c.page(
        fmt::format("{}: no failover: {}", l.resource.id,
                    l.phase == Phase::handing_over ? "a handover is under way" : "there is no shadow to go to"));
  l.failover.wanted = true;
  l.failover.loss_accepted_bytes = std::max(l.failover.loss_accepted_bytes, command.loss_max_bytes);
  l.failover.ended_why.clear();
}

}  // namespace

void on_command(Context& c, const Command& command) {
  auto& l = c.l;
  const auto by = command.actor.empty() ? std::string("somebody") : command.actor;
  switch (command.verb) {
    case Verb::pause:
      l.paused = true;
      return;
    case Verb::resume:
      l.paused = false;
      return;
    case Verb::bypass:
      if (past_no_return(l)) return c.page(fmt::format("{}: bypass came past the point of no return", l.resource.id));
      l.bypassed = true;
      l.bypassed_by = by;
      return give_up(c);
    case Verb::end_bypass:
      l.bypassed = false;
      l.bypassed_by.clear();
      return;
    case Verb::remove_gateway:
      l.gateways_silent.erase(command.target);
      if (l.phase != Phase::handing_over) l.retry_at.reset();
      return;
    case Verb::approve:
      l.approved = l.asked == Question::none ? Question::handover : l.asked;
      l.asked = Question::none;
      return;
    case Verb::handover:
      if (l.bypassed) return;
      if (l.phase == Phase::observing || l.phase == Phase::mirroring || l.phase == Phase::shifting ||
          l.phase == Phase::provisioning || l.phase == Phase::replicating)
        l.handover_wanted = true;
      return;
    case Verb::rollback:
      // The way back is a handover to the old primary, which is a standby (or shares the data) and still alive.
      if (!l.bypassed && l.phase == Phase::watching && l.step == HandoverStep::none && l.old_primary &&
          !l.old_died_at && steered(l)) {
        l.unlabelled = facts_of_watch(l, c.now, "rolled back by " + by);
        l.shadow = l.old_primary;
        l.old_primary.reset();
        l.handover_wanted = l.rolling_back = true;
        l.prediction.reset();
        l.segments.clear();
        for (const auto& segment : l.resource.segments) l.segments.push_back({segment.id, 0, c.now, {}, {}});
        begin_handover(c, "rollback asked for by " + by);
      }
      return;
    case Verb::failover:
      return want_failover(c, command);
    case Verb::abort:
      if (past_no_return(l)) {
        // A promotion that turns out not to have begun can still be given up.
        l.aborting = l.step == HandoverStep::promoting;
        return c.page(fmt::format("{}: abort came past the point of no return", l.resource.id));
      }
      return give_up(c);
  }
}

}  // namespace foreshadow::decide
