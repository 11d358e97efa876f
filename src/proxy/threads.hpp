// How many threads of a gateway may serve clients. Apart, so that the configuration can be read without the data
// plane's headers.
#pragma once

namespace foreshadow::proxy {

inline constexpr int kThreadsMax = 64;

}  // namespace foreshadow::proxy
