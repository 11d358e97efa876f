// How an operator's command travels; the pair is defined with the other domain values in domain/json.cpp.
#pragma once

#include "domain/json.hpp"

namespace foreshadow {
FS_JSON_DECLARE(Command);
}
