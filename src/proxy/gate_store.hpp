// The one file in which a gateway keeps what its gates must not forget. Written whole, durably, before any command is
// acknowledged. Entries of resources that are not configured any more are kept: a gateway started once with a shorter
// configuration must not forget a seal.
#pragma once

#include <optional>
#include <string>

#include "proxy/gate_state.hpp"

namespace foreshadow::proxy {

// Not thread-safe: its owner lets one command write at a time. Blocks for an fsync, so never on the gateway's thread.
class GateStore {
 public:
  // No file is an empty store. Errors: corrupt (what to do about it is in the text), conflict (from a newer version),
  // io.
  static Result<GateStore> open(std::string path);
  std::optional<GateState> find(const ResourceId& resource) const;
  // After an error the file holds what it held before.
  Result<void> save(const ResourceId& resource, const GateState& state);

 private:
  explicit GateStore(std::string path) : path_(std::move(path)) {}
  std::string path_;
  GateStates states_;
};

}  // namespace foreshadow::proxy
