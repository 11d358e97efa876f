// The kind `tcp`: a service that speaks anything over streams and whose data lives elsewhere, so that two instances may
// serve at once. Like `http` without knowing where a unit of work ends: so nothing can be mirrored, and a connection is
// moved by ending it.
#pragma once

#include <memory>

#include "kinds/kind.hpp"

namespace foreshadow::kinds {

std::unique_ptr<Kind> make_tcp_kind();

}  // namespace foreshadow::kinds
