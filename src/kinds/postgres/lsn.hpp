// A place in the write-ahead log: bytes since its beginning, written "16/B374D848" (PostgreSQL 15, 8.20 pg_lsn Type).
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace foreshadow::kinds::postgres {

struct Lsn {
  std::uint64_t value = 0;
  friend auto operator<=>(const Lsn&, const Lsn&) = default;
  std::string text() const;
};

// Exactly the server's notation: two hexadecimal numbers of at most eight digits.
Result<Lsn> parse_lsn(std::string_view text);

}  // namespace foreshadow::kinds::postgres
