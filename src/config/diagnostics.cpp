#include "config/diagnostics.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <numeric>

namespace foreshadow::config {

std::string Diagnostics::text(const std::string& file) const {
  std::string out;
  std::size_t told = 0;
  for (const auto& [at, what] : problems_) {
    if (told == told_max) return out + fmt::format("\n{}: {} more; mend these first", file, problems_.size() - told);
    out += fmt::format("{}{}:{}:{}: {}", told == 0 ? "" : "\n", file, at.line, at.column, what);
    ++told;
  }
  return out;
}

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before(b.size() + 1), previous(b.size() + 1), row(b.size() + 1);
  std::iota(previous.begin(), previous.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t cost = a[i - 1] == b[j - 1] ? 0 : 1;
      row[j] = std::min({previous[j] + 1, row[j - 1] + 1, previous[j - 1] + cost});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) row[j] = std::min(row[j], before[j - 2] + 1);
    }
    before.swap(previous);
    previous.swap(row);
  }
  return previous[b.size()];
}

std::string suggestion(std::string_view word, const std::vector<std::string>& candidates, std::string_view otherwise) {
  constexpr std::size_t word_max = 64;  // nobody mistypes longer names, and the distance costs their product
  const std::string* best = nullptr;
  std::size_t best_distance = 0;
  if (word.size() <= word_max)
    for (const auto& candidate : candidates) {
      const auto distance = edit_distance(word, candidate);
      if (best == nullptr || distance < best_distance) {
        best = &candidate;
        best_distance = distance;
      }
    }
  if (best != nullptr && best_distance <= std::max<std::size_t>(1, std::max(word.size(), best->size()) / 3))
    return fmt::format("; did you mean '{}'?", *best);
  if (candidates.empty()) return {};
  return fmt::format("; {}: {}", otherwise, fmt::join(candidates, ", "));
}

std::string shown(std::string_view text) {
  constexpr std::size_t bytes_max = 60;
  std::string out = "'";
  std::size_t end = std::min(text.size(), bytes_max);
  while (end < text.size() && end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) --end;
  for (const char c : text.substr(0, end)) out += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
  return out + (end < text.size() ? "...'" : "'");
}

}  // namespace foreshadow::config
