// The kinds this build knows, listed by hand: no kind registers itself.
#pragma once

#include <memory>
#include <vector>

#include "kinds/kind.hpp"

namespace foreshadow::app {

std::vector<std::unique_ptr<kinds::Kind>> all_kinds();
std::vector<const kinds::Kind*> borrow(const std::vector<std::unique_ptr<kinds::Kind>>& kinds);

}  // namespace foreshadow::app
