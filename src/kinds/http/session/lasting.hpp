// Work that may last for hours, and so is asked to end when the client is to go elsewhere: see tunnels.hpp.
#pragma once

#include <cstdint>

#include "base/time.hpp"
#include "kinds/http/session/watchdog.hpp"

namespace foreshadow::kinds::http {

class Lasting {
 public:
  using Steady = Watch::Steady;
  // The client is to go elsewhere, within this time; `code` is what a WebSocket's Close frame says. Asked again, the
  // sooner end stands.
  virtual void leave(std::uint16_t code, Millis within) = 0;
  virtual bool leaving() const = 0;
  // Ends it if it is past its time, or was silent for so long.
  virtual void look(Steady::time_point now, Millis idle_timeout) = 0;

 protected:
  ~Lasting() = default;
};

}  // namespace foreshadow::kinds::http
