#include "proxy/gate_store.hpp"

#include <fmt/format.h>

#include "io/files.hpp"

namespace foreshadow::proxy {

// A table is a few kilobytes; this is room for thousands of resources.
constexpr std::size_t kFileBytesMax = 64 << 20;

Result<GateStore> GateStore::open(std::string path) {
  GateStore store(std::move(path));
  const auto text = io::read_file(store.path_, kFileBytesMax);
  if (!text) {
    if (text.error().code == Code::unreachable) return store;
    return tl::make_unexpected(text.error());
  }
  auto states = decode_states(*text);
  if (!states) {
    // Starting open could reopen a side that was sealed and fenced; a person must say that it was not.
    return fail(
        states.error().code,
        fmt::format("{}: {}; it may hold a seal, so the gateway does not start without it. If no handover was under "
                    "way, move the file aside and start again",
                    store.path_, states.error().what));
  }
  store.states_ = std::move(*states);
  return store;
}

std::optional<GateState> GateStore::find(const ResourceId& resource) const {
  const auto found = states_.find(resource);
  if (found == states_.end()) return std::nullopt;
  return found->second;
}

Result<void> GateStore::save(const ResourceId& resource, const GateState& state) {
  auto next = states_;
  next[resource] = state;
  FS_CHECK(io::write_file_durably(path_, encode_states(next)));
  states_ = std::move(next);
  return {};
}

}  // namespace foreshadow::proxy
