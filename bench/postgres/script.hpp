// What one transaction of the load is: pgbench's built-in scripts `select-only` and `tpcb-like`, word for word, but
// that the history's filler holds the transaction's id. So the ledger is part of the transaction and costs it nothing.
#pragma once

#include <array>
#include <cstdint>
#include <random>
#include <string>

#include "postgres/wire.hpp"

namespace foreshadow::bench::pg {

enum class Kind { select_only, tpcb };

// Drawn once a transaction; the same seed draws the same.
struct Draw {
  std::string aid, bid, tid, delta;
  std::string id;  // at most 22 characters (pgbench_history.filler), beginning with a letter
};

class Script {
 public:
  Script(Kind kind, std::int64_t scale) : kind_(kind), scale_(scale) {}

  Draw draw(std::mt19937_64& chance, std::string id) const;
  std::size_t length() const { return kind_ == Kind::tpcb ? 7 : 1; }
  // The step that commits, after which nobody knows until it is answered; length() if no step does.
  std::size_t commit_step() const { return kind_ == Kind::tpcb ? 6 : 1; }
  bool writes() const { return kind_ == Kind::tpcb; }
  // Appends the step's messages; returns the tag they must be answered with.
  std::string_view add(std::string& out, std::size_t step, const Draw& draw, Protocol protocol) const;

 private:
  Kind kind_;
  std::int64_t scale_;
};

}  // namespace foreshadow::bench::pg
