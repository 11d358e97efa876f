// Control connections that are kept open between the steps of one handover, so that none is made while clients wait.
//
// A kept connection proves nothing by itself: whoever takes it asks it what is true before acting on it. What was found
// out about both ends on these very connections (identity, rights, rivals) is remembered with them, and gone with them.
#pragma once

#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "domain/resource.hpp"
#include "kinds/postgres/control.hpp"
#include "kinds/postgres/settings.hpp"

namespace foreshadow::kinds::postgres {

struct WarmControl {
  Control control;
  // For which pair both ends were looked at on this connection; empty: none.
  std::string examined;
};

// Thread-safe. Holds one connection for each endpoint. The server ends it when it was not used for a minute.
class WarmControls {
 public:
  // The kept connection if there is one that still answers, else a new one. Errors: those of Control::connect.
  Result<WarmControl> take(const Endpoint& endpoint, const PgSettings& settings, std::stop_token stop);
  // In the place of another to that endpoint; a broken one is dropped.
  void keep(const Endpoint& endpoint, WarmControl warm);
  void drop(const Endpoint& endpoint);

  static std::string pair_of(const Instance& primary, const Instance& shadow) {
    return primary.id + " -> " + shadow.id;
  }

 private:
  struct Kept {
    Endpoint endpoint;
    WarmControl warm;
  };
  std::optional<WarmControl> remove(const Endpoint& endpoint);

  std::mutex mutex_;
  std::vector<Kept> kept_;
};

}  // namespace foreshadow::kinds::postgres
