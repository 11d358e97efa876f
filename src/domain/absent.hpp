// How a gateway that was taken out of the path shows among those that answer: it is no process, so it has no
// incarnation.
#pragma once

namespace foreshadow {

inline constexpr const char* kOutOfPath = "out";

}  // namespace foreshadow
