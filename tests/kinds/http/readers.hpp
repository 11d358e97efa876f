// How services read a path: every combination of the habits that are out there, written the plain way. Whatever a
// template's verdict on a path is, no reader may disagree with it.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace foreshadow::kinds::http::testing {

struct Habits {
  bool decodes_slash, decodes_twice, backslash_is_slash, strips_parameters, merges_slashes, merges_first, resolves_dots;
};
inline constexpr int kHabitSets = 1 << 7;
inline Habits habits(int bits) {
  const auto has = [&](int bit) { return (bits >> bit & 1) != 0; };
  return {has(0), has(1), has(2), has(3), has(4), has(5), has(6)};
}

inline int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// An encoded slash that is no separator becomes a byte that is in no template.
inline std::string percent_decoded(std::string_view text, bool slash_too) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const int high = text[i] == '%' && i + 2 < text.size() ? hex_value(text[i + 1]) : -1;
    const int low = high >= 0 ? hex_value(text[i + 2]) : -1;
    if (low < 0) {
      out += text[i];
      continue;
    }
    const char c = static_cast<char>(high * 16 + low);
    out += c == '/' && !slash_too ? '\x01' : c;
    i += 2;
  }
  return out;
}

// The segments behind the first slash. `path` begins with '/'.
inline std::vector<std::string> read_as(std::string_view path, const Habits& habit) {
  auto text = percent_decoded(path, habit.decodes_slash);
  if (habit.decodes_twice) text = percent_decoded(text, habit.decodes_slash);
  if (habit.backslash_is_slash)
    for (auto& c : text)
      if (c == '\\') c = '/';
  std::vector<std::string> segments;
  for (std::size_t at = 0; at != std::string::npos;) {
    const auto end = text.find('/', at + 1);
    auto segment = text.substr(at + 1, end == std::string::npos ? end : end - at - 1);
    if (habit.strips_parameters) segment = segment.substr(0, segment.find(';'));
    segments.push_back(std::move(segment));
    at = end;
  }
  const auto merge = [&] {
    std::vector<std::string> kept;
    for (std::size_t i = 0; i < segments.size(); ++i)
      if (!segments[i].empty() || i + 1 == segments.size()) kept.push_back(segments[i]);
    segments = kept;
  };
  if (habit.merges_slashes && habit.merges_first) merge();
  if (habit.resolves_dots) {
    std::vector<std::string> kept;
    for (std::size_t i = 0; i < segments.size(); ++i) {
      const bool last = i + 1 == segments.size();
      if (segments[i] == ".." && !kept.empty()) kept.pop_back();
      if (segments[i] != "." && segments[i] != "..")
        kept.push_back(segments[i]);
      else if (last)
        kept.emplace_back();
    }
    segments = kept;
  }
  if (habit.merges_slashes && !habit.merges_first) merge();
  return segments;
}

// `parts`: literal segments of a template, nothing for {name}.
inline bool fits(const std::vector<std::string>& segments, const std::vector<std::optional<std::string>>& parts,
                 bool tail) {
  if (tail ? segments.size() < parts.size() : segments.size() != parts.size()) return false;
  for (std::size_t i = 0; i < parts.size(); ++i)
    if (parts[i] ? segments[i] != *parts[i] : segments[i].empty()) return false;
  return true;
}

}  // namespace foreshadow::kinds::http::testing
