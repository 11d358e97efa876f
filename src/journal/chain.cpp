#include "journal/chain.hpp"

#include <array>

namespace foreshadow::journal {
namespace {

constexpr std::uint32_t kPolynomial = 0x82F63B78;  // Castagnoli, bits reflected

constexpr std::array<std::uint32_t, 256> make_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) value = value & 1 ? (value >> 1) ^ kPolynomial : value >> 1;
    table[i] = value;
  }
  return table;
}
constexpr auto kTable = make_table();

std::uint32_t add_number(std::uint32_t sum, std::uint64_t number) {
  char bytes[8];
  for (int i = 0; i < 8; ++i) bytes[i] = static_cast<char>(number >> (8 * i));
  return crc32c({bytes, sizeof bytes}, sum);
}

// With its length, so that "ab","c" and "a","bc" differ.
std::uint32_t add_text(std::uint32_t sum, std::string_view text) { return crc32c(text, add_number(sum, text.size())); }

}  // namespace

std::uint32_t crc32c(std::string_view bytes, std::uint32_t so_far) {
  std::uint32_t sum = ~so_far;
  for (const char byte : bytes) sum = (sum >> 8) ^ kTable[(sum ^ static_cast<unsigned char>(byte)) & 0xff];
  return ~sum;
}

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
