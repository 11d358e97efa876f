// How output looks to a person: colour only on a terminal and never with NO_COLOR (https://no-color.org), columns that
// line up, and nothing that only colour says.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace foreshadow::app {

enum class Paint { plain, dim, bold, good, warn, bad };

struct Terminal {
  bool tty = false;
  bool colour = false;
  int width = 100;  // columns

  std::string paint(Paint paint, std::string_view text) const;
};

// Of standard output.
Terminal terminal();

// Columns as wide as their widest cell, two spaces apart; the last one is not padded.
class Table {
 public:
  struct Cell {
    std::string text;
    Paint paint = Paint::plain;
  };
  explicit Table(std::vector<std::string> head);
  void row(std::vector<Cell> cells) { rows_.push_back(std::move(cells)); }
  std::string text(const Terminal& terminal) const;

 private:
  std::vector<std::vector<Cell>> rows_;
};

// Columns that UTF-8 text takes, counting one for each character.
std::size_t columns(std::string_view text);
// Control characters replaced, so that a name or a message cannot move the cursor.
std::string harmless(std::string_view text);

}  // namespace foreshadow::app
