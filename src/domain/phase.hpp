// Where a resource stands in its lifecycle, and where a handover stands in its steps.
#pragma once

namespace foreshadow {

enum class Phase {
  observing,     // nothing but watching
  provisioning,  // a place for the shadow is being made
  replicating,   // the shadow is catching up
  mirroring,     // the shadow gets copies of the work and is judged
  shifting,      // segments move, least sensitive first
  handing_over,  // see HandoverStep
  watching,      // the old primary runs on under mirrored work: will the predicted failure come?
  retiring,      // the old primary becomes standby or is rebuilt
  withdrawing,   // calm again, aborted or failed: everything back to the primary, the shadow given back
};

enum class HandoverStep {
  none,
  preparing,  // for kinds that fence: what can be done before anybody waits
  holding,
  proving,
  sealing,
  fencing,    // for kinds that fence; where the volume is full this is already the point of no return
  checking,
  assessing,  // instead of proving and checking, after a death that nobody predicted
  promoting,  // the point of no return
  switching,
  rejoining,
  releasing,  // an abort on its way back: hold or seal is given up
  reviving,   // an abort after the fence: the old primary is started again before the seal is given up
};

const char* to_string(Phase phase);
const char* to_string(HandoverStep step);

}  // namespace foreshadow
