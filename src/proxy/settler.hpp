// Who has sessions that must do something where a handover turns: before its hold is complete, before its seal is
// acknowledged, before work goes to the new side. What they do then is done while no work is in flight.
#pragma once

#include <memory>

namespace foreshadow::proxy {

// As long as a copy of it lives, the gate waits where it turned. Given back from any place on the gate's thread.
using Stay = std::shared_ptr<void>;

class Settler {
 public:
  enum class Turn {
    drained,  // a hold's last work has ended; who finds that it cannot follow marks itself unmovable. Ends with the
              // hold
    sealed,   // the old side has been told its last; the seal's acknowledgement waits, though not for ever
    opening,  // a new epoch's table is in force, and parked work waits until this is over: so it should be soon
  };
  virtual ~Settler() = default;
  // On the gate's thread; returns at once.
  virtual void turn(Turn turn, Stay stay) = 0;
};

}  // namespace foreshadow::proxy
