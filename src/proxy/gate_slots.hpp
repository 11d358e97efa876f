// How the state file of a gateway is laid out: two slots of one size, each with a head that numbers and checks what is
// in it. The next text always goes over the slot that is not needed, so a crash in the middle of a write leaves the
// other one; once it is on disk the needless slot gets a copy, so that afterwards either may be damaged. The newest
// whole slot counts.
//
// A slot is a line for people and machines, then the text, then zeros to the end of a page:
//
//     foreshadow-slot 1 0000016384 00000000000000000042 0000001234 1a2b3c4d
//     (version, bytes of a slot, sequence, bytes of the text, CRC-32C of the line before it and of the text)
//
// Pure: never touches a file.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace foreshadow::proxy {

// Bytes of a slot that holds this much text and lets it grow to double: a multiple of a page.
std::uint64_t slot_size_for(std::size_t text_bytes);
// Whether the text may go into slots of this size.
bool fits_slot(std::uint64_t slot_size, std::size_t text_bytes);

// What is written at the beginning of a slot: whole pages, so that the kernel need not read any first. Requires that it
// fits.
std::string encode_slot(std::uint64_t slot_size, std::uint64_t sequence, std::string_view text);
// A file whose slots both hold this.
std::string encode_slots(std::uint64_t slot_size, std::uint64_t sequence, std::string_view text);

struct Slot {
  std::uint64_t sequence = 0;
  std::string_view text;  // into the file it was found in
};
// Errors: corrupt (no slot is whole, or they contradict each other), conflict (written by a newer version).
Result<Slot> newest_slot(std::string_view file);

}  // namespace foreshadow::proxy
