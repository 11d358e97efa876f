#include "app/whereabouts.hpp"

#include <fmt/format.h>

namespace foreshadow::app {

Result<Whereabouts> whereabouts(const std::vector<Witness>& witnesses) {
  const Witness* best = nullptr;
  for (const auto& witness : witnesses)
    if (!witness.current.id.empty() && (best == nullptr || witness.epoch > best->epoch)) best = &witness;
  if (best == nullptr)
    return fail(Code::unreachable,
                "nobody knows who serves: there is no controller, no journal, no gateway's state file and no "
                "configuration");
  Whereabouts where{best->current, best->epoch, best->source, ""};
  for (const auto& witness : witnesses) {
    if (!witness.closed_for || *witness.closed_for <= best->epoch || !where.doubt.empty()) continue;
    where.doubt = fmt::format(
        "{} knows of a handover to epoch {} that was not ended: {} at {} may have been stopped{}. Only one of "
        "them may be written to: ask them which (for PostgreSQL: SELECT NOT pg_is_in_recovery())",
        witness.source, *witness.closed_for, best->current.id, best->current.endpoint.text(),
        witness.other ? fmt::format(", and {} at {} may serve", witness.other->id, witness.other->endpoint.text())
                      : std::string());
  }
  return where;
}

}  // namespace foreshadow::app
