// What became of a prediction: the label its handover had otherwise censored. Pure.
#pragma once

#include "domain/outcome.hpp"

namespace foreshadow::learn {

// `facts` has everything but the verdict. A failure inside the predicted horizon confirms, after it is late; none by the
// end of a watch under comparable load refutes; everything else is censored and teaches nothing.
Outcome label(Outcome facts, double load_ratio_min);

}  // namespace foreshadow::learn
