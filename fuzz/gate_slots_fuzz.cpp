// Any bytes as the state file of a gateway. What is found in it is written again as itself; and a file of ours that was
// torn or damaged anywhere gives the state of before, or the one being written, or nothing.
#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/assert.hpp"
#include "proxy/gate_slots.hpp"
#include "proxy/gate_state.hpp"

namespace {

using namespace foreshadow;
using namespace foreshadow::proxy;

void read(std::string_view file) {
  const auto slot = newest_slot(file);
  if (!slot) return;
  const auto again = encode_slots(file.size() / 2, slot->sequence, slot->text);
  const auto found = newest_slot(again);
  FS_ASSERT(found && found->sequence == slot->sequence && found->text == slot->text);
  if (const auto states = decode_states(slot->text)) FS_ASSERT(decode_states(encode_states(*states)) == *states);
}

// `text` is written over an empty state; the first bytes say where the write ends and which byte is wrong.
void damage(std::string_view data) {
  if (data.size() < 8) return;
  const auto byte = [&](std::size_t at) { return std::size_t{static_cast<unsigned char>(data[at])}; };
  const auto text = data.substr(8);
  const auto size = slot_size_for(text.size());
  const auto before = encode_slots(size, 7, "before");
  const auto slot = encode_slot(size, 8, text);
  const auto place = byte(6) % 2 == 0 ? 0 : size;
  auto file = before;
  const auto written = std::min(slot.size(), byte(0) * 256 + byte(1));
  file.replace(place, written, slot, 0, written);
  const auto torn = newest_slot(file);
  FS_ASSERT(torn && (torn->sequence == 7 ? torn->text == "before" : torn->sequence == 8 && torn->text == text));
  auto both = encode_slots(size, 8, text);
  const auto at = (byte(2) * 65536 + byte(3) * 256 + byte(4)) % both.size();
  both[at] = static_cast<char>(both[at] ^ (data[7] | 1));
  const auto damaged = newest_slot(both);
  FS_ASSERT(damaged && damaged->text == text);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  read(bytes);
  damage(bytes);
  return 0;
}
