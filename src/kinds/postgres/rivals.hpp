// Other authorities over who is primary. One that is in charge will promote against us, or demote what we promoted, so
// where one is found our own promotion is refused.
#pragma once

#include <optional>
#include <stop_token>
#include <string>

#include "base/result.hpp"
#include "kinds/postgres/control.hpp"

namespace foreshadow::kinds::postgres {

// "Patroni (patroni.dynamic.json in /srv/pg)", or nothing. Looks at the files in a data directory; a directory that
// cannot be seen tells nothing.
std::optional<std::string> rival_in_files(const std::string& data_dir);
// The same by what a running server shows: extensions, settings, and who is connected.
Result<std::optional<std::string>> rival_in_server(Control& control, std::stop_token stop);
// refused, with its name and what to do instead, if there is one.
Result<void> refuse_rival(const std::optional<std::string>& rival);

}  // namespace foreshadow::kinds::postgres
