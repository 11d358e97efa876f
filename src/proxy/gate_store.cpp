#include "proxy/gate_store.hpp"

#include <fmt/format.h>

#include "io/files.hpp"
#include "proxy/gate_slots.hpp"

namespace foreshadow::proxy {
namespace {

// A table is a few kilobytes; this is room for thousands of resources.
constexpr std::size_t kFileBytesMax = 64 << 20;
constexpr int kLooksMax = 20;

struct Read {
  GateStates states;
  std::uint64_t sequence = 0;
};

// The file of before the slots was the text alone, an object of JSON.
bool is_text_alone(std::string_view file) {
  const auto begin = file.find_first_not_of(" \t\r\n");
  return begin != std::string_view::npos && file[begin] == '{';
}

Result<Read> decode_file(std::string_view file) {
  Slot slot{0, file};
  if (!is_text_alone(file)) {
    FS_TRY(newest, newest_slot(file));
    slot = newest;
  }
  FS_TRY(states, decode_states(slot.text));
  return Read{std::move(states), slot.sequence};
}

// A gateway that runs may write while its file is read, first to one slot and then to the other: what was read counts
// once it was the same twice.
Result<std::string> read_still(const std::string& path) {
  FS_TRY(seen, io::read_file(path, kFileBytesMax));
  for (int look = 1; look < kLooksMax; ++look) {
    FS_TRY(again, io::read_file(path, kFileBytesMax));
    if (again == seen) break;
    seen = std::move(again);
  }
  return seen;
}

}  // namespace

Result<GateStore> GateStore::open(std::string path) {
  GateStore store(std::move(path));
  const auto file = read_still(store.path_);
  if (!file) {
    if (file.error().code == Code::unreachable) return store;
    return tl::make_unexpected(file.error());
  }
  auto read = decode_file(*file);
  if (!read) {
    // Starting open could reopen a side that was sealed and fenced; a person must say that it was not.
    return fail(
        read.error().code,
        fmt::format("{}: {}; it may hold a seal, so the gateway does not start without it. If no handover was under "
                    "way, move the file aside and start again",
                    store.path_, read.error().what));
  }
  store.states_ = std::move(read->states);
  store.sequence_ = read->sequence;
  return store;
}

std::optional<GateState> GateStore::find(const ResourceId& resource) const {
  const auto found = states_.find(resource);
  if (found == states_.end()) return std::nullopt;
  return found->second;
}

Result<void> GateStore::prepare() { return make_anew(encode_states(states_)); }

Result<void> GateStore::save(const ResourceId& resource, const GateState& state) {
  auto next = states_;
  next[resource] = state;
  const auto text = encode_states(next);
  if (file_ && fits_slot(slot_size_, text.size()) && file_->still_there())
    FS_CHECK(overwrite(text));
  else
    FS_CHECK(make_anew(text));
  states_ = std::move(next);
  return {};
}

Result<void> GateStore::make_anew(const std::string& text) {
  file_.reset();
  const auto slot_size = slot_size_for(text.size());
  if (2 * slot_size > kFileBytesMax)
    return fail(Code::io, fmt::format("{}: {} bytes are more than it may hold", path_, text.size()));
  FS_TRY(file, io::FixedFile::make(path_, encode_slots(slot_size, sequence_ + 1, text)));
  file_ = std::move(file);
  slot_size_ = slot_size;
  ++sequence_;
  needed_ = 0;
  return {};
}

Result<void> GateStore::overwrite(const std::string& text) {
  const auto place = [this](int slot) { return static_cast<std::uint64_t>(slot) * slot_size_; };
  const int spare = 1 - needed_;
  const auto slot = encode_slot(slot_size_, sequence_ + 1, text);
  if (auto written = file_->write(place(spare), slot); !written) {
    // What was not acknowledged must not be found: the kernel may show the new slot though the disk has not got it.
    (void)file_->write_behind(place(spare), encode_slot(slot_size_, sequence_, encode_states(states_)));
    file_.reset();
    return written;
  }
  ++sequence_;
  needed_ = spare;
  // The copy waits for no disk. Should it fail, the slot that it is for is the next one to be overwritten.
  (void)file_->write_behind(place(1 - needed_), slot);
  return {};
}

}  // namespace foreshadow::proxy
