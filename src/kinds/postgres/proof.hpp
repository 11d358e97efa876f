// The proof that a shadow has everything its held primary acknowledged, as text that travels through the journal:
// "0/3000148 marker 0/30000F8 timeline 1".
#pragma once

#include <cstdint>
#include <string>

#include "base/result.hpp"
#include "kinds/postgres/lsn.hpp"

namespace foreshadow::kinds::postgres {

struct Proof {
  Lsn lsn;     // everything acknowledged ends at or before it
  Lsn marker;  // reading the log from here, our own marker's commit comes before `lsn`
  std::uint32_t timeline = 0;
  friend bool operator==(const Proof&, const Proof&) = default;
  std::string text() const;
};
Result<Proof> parse_proof(const std::string& text);

}  // namespace foreshadow::kinds::postgres
