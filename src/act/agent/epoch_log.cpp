#include "act/agent/epoch_log.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <optional>

#include "base/crc32c.hpp"

namespace foreshadow::act {
namespace {

// What the kernel writes, and no disk's sector is larger.
constexpr std::size_t kPage = 4096;
constexpr std::string_view kMagic = "epochs ";
// Every number has its width, so that where a field stands does not depend on what is in another.
constexpr std::size_t kSequenceAt = kMagic.size(), kBytesAt = kSequenceAt + 21, kSumAt = kBytesAt + 11,
                      kHead = kSumAt + 9;

std::size_t whole_pages(std::size_t bytes) { return (bytes + kPage - 1) / kPage * kPage; }

std::string encode_head(std::uint64_t sequence, std::string_view body) {
  auto head = fmt::format("{}{:020} {:010} ", kMagic, sequence, body.size());
  return head + fmt::format("{:08x} ", crc32c(body, crc32c(head)));
}

std::optional<std::uint64_t> number_at(std::string_view head, std::size_t at, std::size_t digits) {
  const char* const begin = head.data() + at;
  std::uint64_t value = 0;
  const auto read = std::from_chars(begin, begin + digits, value);
  if (read.ec != std::errc{} || read.ptr != begin + digits) return std::nullopt;
  return value;
}

// How long the copy at the beginning of `bytes` says that it is, in whole pages; its body need not be whole.
std::optional<std::size_t> extent_at(std::string_view bytes) {
  if (bytes.size() < kHead || !bytes.starts_with(kMagic)) return std::nullopt;
  const auto length = number_at(bytes, kBytesAt, 10);
  if (!length) return std::nullopt;
  const auto extent = whole_pages(kHead + *length + 1);
  if (extent > bytes.size()) return std::nullopt;
  return extent;
}

struct Copy {
  std::size_t extent = 0;
  std::string_view body;
};

// Entry `sequence` at the beginning of `bytes`, if it is whole.
std::optional<Copy> whole_copy(std::string_view bytes, std::uint64_t sequence) {
  const auto extent = extent_at(bytes);
  if (!extent) return std::nullopt;
  const auto body = bytes.substr(kHead, *number_at(bytes, kBytesAt, 10));
  if (!bytes.starts_with(encode_head(sequence, body)) || bytes[kHead + body.size()] != '\n') return std::nullopt;
  return Copy{*extent, body};
}

// The second copy of entry `sequence`, when the first one is not whole and so may not even tell its length: it lies
// exactly its own length behind.
std::optional<Copy> second_copy(std::string_view bytes, std::uint64_t sequence) {
  for (std::size_t at = kPage; at < bytes.size(); at += kPage)
    if (const auto copy = whole_copy(bytes.substr(at), sequence); copy && copy->extent == at) return copy;
  return std::nullopt;
}

// Each byte is the one before it, and that is zero: a loop that the C library runs at the speed of memory.
bool untouched(std::string_view bytes) {
  return bytes.empty() || (bytes[0] == '\0' && std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0);
}

// What a write leaves that was cut in its first copy.
bool cut_short(std::string_view bytes) {
  const auto reached = extent_at(bytes).value_or(std::min(kHead, bytes.size()));
  return untouched(bytes.substr(reached));
}

}  // namespace

std::string encode_entry(std::uint64_t sequence, std::string_view body) {
  auto copy = encode_head(sequence, body);
  copy += body;
  copy += '\n';
  copy.resize(whole_pages(copy.size()), '\0');
  return copy + copy;
}

Result<std::vector<std::string_view>> read_entries(std::string_view file) {
  std::vector<std::string_view> bodies;
  std::string_view rest = file;
  for (;;) {
    const auto sequence = bodies.size() + 1;
    auto copy = whole_copy(rest, sequence);
    if (!copy) copy = second_copy(rest, sequence);
    if (!copy) break;
    bodies.push_back(copy->body);
    rest.remove_prefix(std::min(rest.size(), 2 * copy->extent));
  }
  if (bodies.empty()) return fail(Code::corrupt, "it does not begin with a whole entry");
  if (!cut_short(rest)) return fail(Code::corrupt, fmt::format("entry {} is not whole", bodies.size() + 1));
  return bodies;
}

}  // namespace foreshadow::act
