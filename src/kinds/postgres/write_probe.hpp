// Does a server take writes? Asked by writing, over a fresh connection: a server can answer reads long after it has
// stopped to commit.
#pragma once

#include <stop_token>

#include "base/result.hpp"
#include "domain/resource.hpp"
#include "kinds/postgres/settings.hpp"

namespace foreshadow::kinds::postgres {

// A transaction id and a WAL record, taken back. False: somebody answers there, but not a write: a standby, a full
// volume, no connection to spare, a server that starts or stops. Errors: unreachable (nobody listens, or who did hung
// up), timeout (it listens and says nothing, as one that was stopped in mid-work), refused (our role may not log in).
Result<bool> try_write(const Instance& instance, const PgSettings& settings, std::stop_token stop);

// Of a connection that could not be made, in libpq's words: nobody spoke for the server.
bool nobody_answered(const Error& error);

}  // namespace foreshadow::kinds::postgres
