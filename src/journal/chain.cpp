#include "journal/chain.hpp"

#include <string_view>

namespace foreshadow::journal {
namespace {

std::uint32_t add_number(std::uint32_t sum, std::uint64_t number) {
  char bytes[8];
  for (int i = 0; i < 8; ++i) bytes[i] = static_cast<char>(number >> (8 * i));
  return crc32c({bytes, sizeof bytes}, sum);
}

// With its length, so that "ab","c" and "a","bc" differ.
std::uint32_t add_text(std::uint32_t sum, std::string_view text) { return crc32c(text, add_number(sum, text.size())); }

}  // namespace

std::uint32_t chained_sum(std::uint32_t before, const Record& record) {
  std::uint32_t sum = add_number(0, before);
  sum = add_number(sum, record.seq);
  sum = add_number(sum, static_cast<std::uint64_t>(record.type));
  sum = add_number(sum, static_cast<std::uint64_t>(to_ms(record.at)));
  sum = add_text(sum, record.resource);
  sum = add_text(sum, record.name);
  return add_text(sum, record.body);
}

}  // namespace foreshadow::journal
