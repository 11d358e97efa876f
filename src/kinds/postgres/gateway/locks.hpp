// Session-level advisory locks as a server knows them, and the statements that find, count and take them again. Every
// name in those statements is qualified: they run in sessions whose search_path somebody else has set.
//
// Pure: text in, text out.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "kinds/postgres/gateway/exchange.hpp"

namespace foreshadow::kinds::pg_gateway {

struct AdvisoryLock {
  std::uint32_t pid = 0;  // of the server process that holds it
  std::uint32_t high = 0, low = 0;
  bool two_keys = false;  // two keys of 32 bits, not one of 64
  bool shared = false;
  std::uint32_t depth = 0;  // how often it was taken, and must be given back; 0: not known yet
  friend bool operator==(const AdvisoryLock&, const AdvisoryLock&) = default;
};

// All that the server's sessions hold; asked of any of them.
std::string query_of_locks();
std::optional<std::vector<AdvisoryLock>> read_locks(const Exchange::Answer& answer);

// pg_locks does not say how often a lock was taken. Only giving it back does, so that is done: while a lock of the
// transaction on the same key keeps everybody else out, it is given back until there is none left, and taken as often
// again. The server logs a warning for the last attempt. To be asked of the session that holds them; if it fails,
// what the session holds is not known.
std::string query_of_depths(const std::vector<AdvisoryLock>& locks);
// False: the answer does not fit.
bool read_depths(const Exchange::Answer& answer, std::vector<AdvisoryLock>& locks);

// Takes them without waiting, as often as they were held.
std::string query_taking(const std::vector<AdvisoryLock>& locks);
bool all_taken(const Exchange::Answer& answer, const std::vector<AdvisoryLock>& locks);

}  // namespace foreshadow::kinds::pg_gateway
