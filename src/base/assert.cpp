#include "base/assert.hpp"

#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>

namespace foreshadow {

void broken_invariant(const char* what, std::source_location where) {
  fmt::print(stderr, "foreshadow: broken invariant: {} ({}:{})\n", what, where.file_name(), where.line());
  std::fflush(stderr);
  std::abort();
}

}  // namespace foreshadow
