// How the agent's book of epochs is laid out: entries one after the other in a file whose rest is zeros. An entry is
// never written over, nor is its page written again with what comes later, so a crash in the middle of a write loses
// that entry and nothing before it.
//
// Each entry lies there twice, in pages of its own, and was acknowledged only once both were on disk. So an entry with
// one whole copy counts; one that was cut by a crash shows as a first copy that is not whole with nothing behind it, and
// is dropped; anything else that is not whole is damage. A log with one copy could not tell the last two apart, and a
// promotion that is forgotten is two writers.
//
// A copy is a line for people and machines, then zeros to the end of its page:
//
//     epochs 00000000000000000042 0000000345 1a2b3c4d {...}
//     (sequence from 1, bytes of the body, CRC-32C of the line before it and of the body, the body)
//
// Pure: never touches a file, and knows nothing of what an entry says.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace foreshadow::act {

// Both copies, whole pages.
std::string encode_entry(std::uint64_t sequence, std::string_view body);

// The bodies, first to last, into `file`. Errors: corrupt (not even a first entry, or an entry that was acknowledged is
// lost).
Result<std::vector<std::string_view>> read_entries(std::string_view file);

}  // namespace foreshadow::act
