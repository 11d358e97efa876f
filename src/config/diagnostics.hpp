// Where something stands in the file, and the list of all that is wrong with it.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace foreshadow::config {

// Counted from 1, as editors do.
struct Mark {
  int line = 1;
  int column = 1;
  friend auto operator<=>(const Mark&, const Mark&) = default;
};

class Diagnostics {
 public:
  static constexpr std::size_t told_max = 20;

  void add(Mark at, std::string what) { problems_.emplace(at, std::move(what)); }
  std::size_t count() const { return problems_.size(); }
  // `file:line:column: what`, in the order of the file, one a line, without a last line end.
  std::string text(const std::string& file) const;

 private:
  std::multimap<Mark, std::string> problems_;
};

// "; did you mean 'interval'?" when a candidate is near enough to be a slip, else "; <otherwise>: a, b, c".
std::string suggestion(std::string_view word, const std::vector<std::string>& candidates, std::string_view otherwise);

// Restricted Damerau-Levenshtein distance: insert, delete, replace, swap of neighbours.
std::size_t edit_distance(std::string_view a, std::string_view b);

// Quoted for a message: cut at 60 bytes (never within a character), control characters replaced.
std::string shown(std::string_view text);

}  // namespace foreshadow::config
