// Answers to statements of the gateway's own, collected by whoever reads from the server: one for each ReadyForQuery.
// Pure. Bounded: rows beyond a few MiB are counted as an error.
#pragma once

#include <string>
#include <vector>

#include "kinds/postgres/gateway/message.hpp"
#include "kinds/postgres/gateway/wire.hpp"

namespace foreshadow::kinds::pg_gateway {

class Exchange {
 public:
  struct Answer {
    ErrorFields error;                           // the first one; without a message: all went well
    std::vector<std::vector<std::string>> rows;  // as text, null as nothing
    bool ok() const { return error.message.empty() && error.sqlstate.empty(); }
  };

  // `ready`: how often the server will say that it is ready.
  explicit Exchange(int ready) : owed_(ready) { answers_.emplace_back(); }

  // Any piece of what the server says meanwhile.
  void take(const Piece& piece);
  bool done() const { return owed_ <= 0; }
  // So far; one for each ReadyForQuery, once it is done.
  const std::vector<Answer>& answers() const { return answers_; }
  // The first that went wrong; null: none.
  const Answer* failed() const;

 private:
  void row(std::string_view body);

  int owed_;
  std::vector<Answer> answers_;
  std::string row_;  // one that comes in pieces
  std::size_t bytes_ = 0;
};

}  // namespace foreshadow::kinds::pg_gateway
