// Would the shadow fare better? It does the same work (mirrored, or replicated): if it suffers too, the cause is the
// work, and a handover would only move the failure.
#pragma once

#include <vector>

#include "domain/outlook.hpp"
#include "domain/window.hpp"
#include "foresee/risk/assess.hpp"

namespace foreshadow::foresee {

struct Assessed {
  const Signal* signal = nullptr;
  SignalRisk risk;
};

// no: the shadow is itself about as likely to cross a limit within the longest horizon, or it grows as fast per unit of
// work
//     toward the same hard limit and would not last three of the longest horizons at full load.
// yes: it is clearly less likely to, seen under at least a tenth of the load where the signal depends on load.
// unknown: no shadow, nothing at risk, a signal at risk that the shadow does not show, or too little work mirrored to
// tell.
Helps handover_helps(const Window& window, const std::vector<Assessed>& current, const std::vector<Assessed>& shadow,
                     Millis longest);

}  // namespace foreshadow::foresee
