// The one file in which a gateway keeps what its gates must not forget. Written durably, before any command is
// acknowledged: while clients are parked that is one sync, because the file stays and only its content changes
// (gate_slots.hpp). Entries of resources that are not configured any more are kept: a gateway started once with a
// shorter configuration must not forget a seal.
#pragma once

#include <optional>
#include <string>

#include "io/fixed_file.hpp"
#include "proxy/gate_state.hpp"

namespace foreshadow::proxy {

// Not thread-safe: its owner lets one command write at a time. Blocks for an fsync, so never on the gateway's thread.
class GateStore {
 public:
  // No file is an empty store. Changes nothing, so a file may be looked at while its gateway writes it. Errors: corrupt
  // (what to do about it is in the text), conflict (from a newer version), io.
  static Result<GateStore> open(std::string path);
  std::optional<GateState> find(const ResourceId& resource) const;
  // Makes the file anew, with what is known, so that the first save need not. After an error (io) that save tries
  // again.
  Result<void> prepare();
  // After an error the file holds what it held before.
  Result<void> save(const ResourceId& resource, const GateState& state);

 private:
  explicit GateStore(std::string path) : path_(std::move(path)) {}
  Result<void> make_anew(const std::string& text);
  Result<void> overwrite(const std::string& text);

  std::string path_;
  GateStates states_;
  std::uint64_t sequence_ = 0;
  // None: the file is not this process's own yet, or the disk has failed it. What another process left, the kernel may
  // show though the disk has not got it, so nothing is ever built on that.
  std::optional<io::FixedFile> file_;
  std::uint64_t slot_size_ = 0;
  int needed_ = 0;  // the slot that holds `states_` on disk; the other may be overwritten
};

}  // namespace foreshadow::proxy
