// The names of domain values, as people and files see them.
#pragma once

#include "domain/effect.hpp"
#include "domain/event.hpp"
#include "domain/outcome.hpp"
#include "domain/phase.hpp"
#include "domain/policy.hpp"

namespace foreshadow {
const char* to_string(Autonomy autonomy);
const char* to_string(Verdict verdict);
}  // namespace foreshadow
