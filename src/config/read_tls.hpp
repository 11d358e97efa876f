// `listener.tls`: what clients are shown, and what is asked of them.
#pragma once

#include "config/fields.hpp"
#include "proxy/settings.hpp"

namespace foreshadow::config {

// Reads the files themselves where the reading asks for that (Ask::files).
void read_tls(Fields& fields, proxy::ListenerSettings& listener);

}  // namespace foreshadow::config
