// Invariants, checked in release too: a process that has lost its own sense must stop, not act.
#pragma once

#include <source_location>

namespace foreshadow {
[[noreturn]] void broken_invariant(const char* what, std::source_location where = std::source_location::current());
}

#define FS_ASSERT(condition) ((condition) ? static_cast<void>(0) : ::foreshadow::broken_invariant(#condition))
