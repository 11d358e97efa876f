// Characters and lists of HTTP fields (RFC 9110, section 5). ASCII only, no locale.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace foreshadow::kinds::http {

// RFC 9110, section 5.6.2: tchar.
inline constexpr auto kTokenChars = [] {
  std::array<bool, 256> table{};
  for (int c = '0'; c <= '9'; ++c) table[static_cast<std::size_t>(c)] = true;
  for (int c = 'a'; c <= 'z'; ++c) table[static_cast<std::size_t>(c)] = true;
  for (int c = 'A'; c <= 'Z'; ++c) table[static_cast<std::size_t>(c)] = true;
  for (const char c : {'!', '#', '$', '%', '&', '\'', '*', '+', '-', '.', '^', '_', '`', '|', '~'})
    table[static_cast<unsigned char>(c)] = true;
  return table;
}();
inline constexpr bool is_token_char(char c) { return kTokenChars[static_cast<unsigned char>(c)]; }
inline constexpr bool is_token(std::string_view text) {
  for (const char c : text)
    if (!is_token_char(c)) return false;
  return !text.empty();
}

// RFC 9110, section 5.5: visible characters, obs-text, space and tab; no control character.
inline constexpr bool is_value_char(char c) {
  const auto u = static_cast<unsigned char>(c);
  return (u >= 0x20 && u != 0x7f) || u == '\t';
}

// All of them are. Eight at a time: nearly everything in a head is plain text.
inline bool are_value_chars(std::string_view text) {
  constexpr std::uint64_t kEach = 0x0101010101010101, kHigh = 0x80 * kEach;
  while (text.size() >= sizeof(std::uint64_t)) {
    std::uint64_t eight = 0;
    std::memcpy(&eight, text.data(), sizeof eight);
    // Borrows reach only bytes above one that is found, so the whole is zero exactly if none is.
    const auto below_space = (eight - 0x20 * kEach) & ~eight;
    const auto without_delete = eight ^ (0x7f * kEach);
    const auto is_delete = (without_delete - kEach) & ~without_delete;
    if ((below_space | is_delete) & kHigh) break;
    text.remove_prefix(sizeof eight);
  }
  for (const char c : text)
    if (!is_value_char(c)) return false;
  return true;
}

inline constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }
inline constexpr char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; }

// `b` in lower case already.
inline constexpr bool equals_lower(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i)
    if (lower(a[i]) != b[i]) return false;
  return true;
}
// As services behind CGI, WSGI and the like compare names: there '_' stands for '-' too. `b` in lower case already.
inline constexpr bool equals_lower_loosely(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i)
    if (lower(a[i]) != b[i] && !(a[i] == '_' && b[i] == '-')) return false;
  return true;
}
inline constexpr bool equals_ignoring_case(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i)
    if (lower(a[i]) != lower(b[i])) return false;
  return true;
}

// Without optional whitespace at its ends.
inline constexpr std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// Calls `each` with every non-empty element of a comma-separated list.
template <class F>
constexpr void for_each_element(std::string_view list, F&& each) {
  for (;;) {
    const auto comma = list.find(',');
    if (const auto element = trim(list.substr(0, comma)); !element.empty()) each(element);
    if (comma == std::string_view::npos) return;
    list.remove_prefix(comma + 1);
  }
}

}  // namespace foreshadow::kinds::http
