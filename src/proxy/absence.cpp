#include "proxy/absence.hpp"

#include <fmt/format.h>

#include "io/files.hpp"
#include "proxy/gate_store.hpp"
#include "proxy/gateway.hpp"

namespace foreshadow::proxy {

Result<void> take_out(const Absent& absent, const ResourceId& resource, const Instance& primary) {
  // Held until the file is written: one that starts meanwhile waits for it, or finds what was written.
  auto lock = io::FileLock::take(gateway_lock_path(absent.state_dir, absent.gateway));
  if (!lock)
    return fail(
        lock.error().code,
        fmt::format("gateway {} runs, and what runs is never taken out ({}); stop it first, or leave the path with "
                    "`foreshadow bypass {}`",
                    absent.gateway, lock.error().what, resource));
  FS_TRY(store, GateStore::open(gateway_state_path(absent.state_dir, absent.gateway)));
  auto state = store.find(resource).value_or(GateState{});
  if (state.behind) return {};
  if (state.table.resource.empty()) {
    state.table.resource = resource;
    state.table.current = primary;
  }
  state.behind = BehindRecord{state.table.epoch, state.seal ? state.seal->park_max : kParkMaxBehind};
  // What is behind opens for nothing but a table; a seal would wait for a release that goes to the others.
  state.hold.reset();
  state.seal.reset();
  return store.save(resource, state);
}

bool is_out(const Absent& absent, const ResourceId& resource) {
  const auto store = GateStore::open(gateway_state_path(absent.state_dir, absent.gateway));
  if (!store) return false;
  const auto state = store->find(resource);
  return state && state->behind.has_value();
}

}  // namespace foreshadow::proxy
