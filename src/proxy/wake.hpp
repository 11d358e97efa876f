// Wakes coroutines from where nothing may throw: destructors, and what they call. Asio's cancel() is declared to
// throw, but has nothing to fail at: it takes the waiting operations off a queue.
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <boost/system/system_error.hpp>

#include "base/assert.hpp"

namespace foreshadow::proxy {

// Who waits for `timer` goes on in a later turn of its executor, with operation_aborted. On that executor's thread.
inline void wake(boost::asio::steady_timer& timer) noexcept {
  try {
    timer.cancel();
  } catch (const boost::system::system_error&) {
    FS_ASSERT(!"a timer can be cancelled");
  }
}

}  // namespace foreshadow::proxy
