#include "kinds/postgres/gateway/exchange.hpp"

#include <algorithm>

namespace foreshadow::kinds::pg_gateway {

namespace {
constexpr std::size_t bytes_max = 4 << 20;
}

void Exchange::take(const Piece& piece) {
  if (done()) return;
  auto& answer = answers_.back();
  switch (piece.type) {
    case 'D':
      bytes_ += piece.body.size();
      if (bytes_ > bytes_max) {
        row_.clear();
        if (answer.ok()) answer.error = {"ERROR", "54000", "more rows than expected"};
        return;
      }
      if (piece.head && piece.whole) return row(piece.body);
      row_ += piece.body;
      if (row_.size() < piece.length) return;
      row(row_);
      row_.clear();
      return;
    case 'E':
      if (piece.head && answer.ok()) {
        answer.error = decode_error(piece.body);
        if (answer.ok()) answer.error.message = "an error without words";
      }
      return;
    case 'Z':
      if (--owed_ > 0) answers_.emplace_back();
      return;
    default:
      return;
  }
}

// DataRow: the number of columns in 16 bits, and each as its length and its bytes.
void Exchange::row(std::string_view body) {
  std::vector<std::string> columns;
  if (body.size() >= 2) body.remove_prefix(2);
  while (body.size() >= 4) {
    const auto length = read_u32(body);
    body.remove_prefix(4);
    const bool null = length == 0xffffffff;
    if (!null && length > body.size()) break;
    columns.emplace_back(null ? std::string_view{} : body.substr(0, length));
    if (!null) body.remove_prefix(length);
  }
  answers_.back().rows.push_back(std::move(columns));
}

const Exchange::Answer* Exchange::failed() const {
  const auto found = std::ranges::find_if(answers_, [](const Answer& answer) { return !answer.ok(); });
  return found == answers_.end() ? nullptr : &*found;
}

}  // namespace foreshadow::kinds::pg_gateway
