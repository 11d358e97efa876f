// HTTP's deadlines are the gateway's own: the names they go by here.
#pragma once

#include "proxy/conn/watchdog.hpp"

namespace foreshadow::kinds::http {

using proxy::Buffers;
using proxy::Watch;
using proxy::Watchdog;

}  // namespace foreshadow::kinds::http
