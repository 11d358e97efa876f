#include "proxy/gate_slots.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "base/assert.hpp"
#include "base/crc32c.hpp"

namespace foreshadow::proxy {
namespace {

constexpr std::uint64_t kPage = 4096, kSlotMin = 4 * kPage;
constexpr std::string_view kMagic = "foreshadow-slot ";
constexpr unsigned kVersion = 1;
// Every number has its width, so that where a field stands does not depend on what is in another.
constexpr std::size_t kSizeAt = kMagic.size() + 2, kSequenceAt = kSizeAt + 11, kBytesAt = kSequenceAt + 21,
                      kSumAt = kBytesAt + 11, kHead = kSumAt + 9;
constexpr std::uint64_t kSlotMax = 9'999'999'999;  // what its field can say

std::uint64_t whole_pages(std::uint64_t bytes) { return (bytes + kPage - 1) / kPage * kPage; }

std::string encode_head(std::uint64_t slot_size, std::uint64_t sequence, std::string_view text) {
  auto head = fmt::format("{}{} {:010} {:020} {:010} ", kMagic, kVersion, slot_size, sequence, text.size());
  return head + fmt::format("{:08x}\n", crc32c(text, crc32c(head)));
}

std::optional<std::uint64_t> number_at(std::string_view head, std::size_t at, std::size_t digits) {
  const char* const begin = head.data() + at;
  std::uint64_t value = 0;
  const auto read = std::from_chars(begin, begin + digits, value);
  if (read.ec != std::errc{} || read.ptr != begin + digits) return std::nullopt;
  return value;
}

// The slot that takes up all of `bytes`, if it is whole.
std::optional<Slot> whole_slot(std::string_view bytes) {
  if (bytes.size() < kHead) return std::nullopt;
  const auto sequence = number_at(bytes, kSequenceAt, 20), length = number_at(bytes, kBytesAt, 10);
  if (!sequence || !length || *length > bytes.size() - kHead) return std::nullopt;
  const Slot slot{*sequence, bytes.substr(kHead, *length)};
  // The one spelling of what was read, its sum among it: everything else is damage.
  if (!bytes.starts_with(encode_head(bytes.size(), slot.sequence, slot.text))) return std::nullopt;
  return slot;
}

bool of_newer_version(std::string_view bytes) {
  if (!bytes.starts_with(kMagic)) return false;
  unsigned version = 0;
  const auto digits = bytes.substr(kMagic.size(), 9);
  const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), version);
  return read.ec == std::errc{} && version > kVersion;
}

}  // namespace

std::uint64_t slot_size_for(std::size_t text_bytes) { return std::max(kSlotMin, whole_pages(kHead + 2 * text_bytes)); }

bool fits_slot(std::uint64_t slot_size, std::size_t text_bytes) {
  return slot_size <= kSlotMax && slot_size >= kHead && text_bytes <= slot_size - kHead;
}

std::string encode_slot(std::uint64_t slot_size, std::uint64_t sequence, std::string_view text) {
  FS_ASSERT(fits_slot(slot_size, text.size()));
  auto slot = encode_head(slot_size, sequence, text);
  slot += text;
  slot.resize(std::min(whole_pages(slot.size()), slot_size), '\0');
  return slot;
}

std::string encode_slots(std::uint64_t slot_size, std::uint64_t sequence, std::string_view text) {
  auto slot = encode_slot(slot_size, sequence, text);
  slot.resize(slot_size, '\0');
  return slot + slot;
}

Result<Slot> newest_slot(std::string_view file) {
  const auto half = file.size() / 2;
  std::optional<Slot> first, second;
  if (file.size() % 2 == 0) {
    first = whole_slot(file.substr(0, half));
    second = whole_slot(file.substr(half));
  }
  if (!first && !second) {
    if (of_newer_version(file)) return fail(Code::conflict, "it was written by a newer version");
    return fail(Code::corrupt, "neither of its two slots is whole");
  }
  if (first && second && first->sequence == second->sequence && first->text != second->text)
    return fail(Code::corrupt, fmt::format("both slots are number {} but not the same", first->sequence));
  if (!second || (first && first->sequence >= second->sequence)) return *first;
  return *second;
}

}  // namespace foreshadow::proxy
