// The kind `http`: a service whose data lives elsewhere, so that two instances may serve at once. There is nothing to
// copy and nothing to fence; what a handover needs is a shadow that answers.
#pragma once

#include <memory>

#include "kinds/kind.hpp"

namespace foreshadow::kinds {

std::unique_ptr<Kind> make_http_kind();

}  // namespace foreshadow::kinds
