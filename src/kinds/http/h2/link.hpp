// What the requests of one HTTP/2 connection share.
#pragma once

#include <memory>
#include <string>

#include "kinds/http/h2/mux.hpp"
#include "kinds/http/session/arrival.hpp"
#include "kinds/http/session/core.hpp"
#include "proxy/gate.hpp"

namespace foreshadow::kinds::http::h2 {

// Lives in the connection's session, which outlives every request of it.
class Link {
 public:
  Link(Core& core, proxy::Gate& gate, Arrival& client)
      : core(core),
        gate(gate),
        client(client),
        mux(core.options.h2, core.limits, Watch::Steady::now()) {}
  // There is something to pull from the mux.
  virtual void write_soon() = 0;

  Core& core;
  proxy::Gate& gate;
  Arrival& client;
  Mux mux;
  FieldList fields;  // room for an answer's, while it is handed to the mux

 protected:
  ~Link() = default;
};

}  // namespace foreshadow::kinds::http::h2
