#include "kinds/postgres/write_probe.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <utility>

#include "kinds/postgres/control.hpp"

namespace foreshadow::kinds::postgres {
namespace {

using namespace std::chrono_literals;
constexpr Millis kQuery = 5s;

}  // namespace

bool nobody_answered(const Error& error) {
  if (error.code == Code::timeout) return true;
  // libpq 15 gives words only. A server that answers says anything else: "sorry, too many clients already", above all.
  static constexpr std::array words{
      "Connection refused", "No such file or directory", "server closed the connection", "Connection reset by peer",
      "No route to host",   "Network is unreachable",    "Connection timed out",         "Broken pipe",
      "Host is down"};
  return error.code == Code::unreachable && std::any_of(words.begin(), words.end(), [&](const char* word) {
           return error.what.find(word) != std::string::npos;
         });
}

Result<bool> try_write(const Instance& instance, const PgSettings& settings, std::stop_token stop) {
  auto control = Control::connect(instance.endpoint, settings, stop);
  if (!control) {
    if (control.error().code == Code::unreachable && !nobody_answered(control.error())) return false;
    return tl::make_unexpected(control.error());
  }
  FS_TRY(rows, control->query("SELECT pg_is_in_recovery() OR current_setting('default_transaction_read_only')::bool",
                              kQuery, stop));
  if (rows.at(0).at(0) == "t") return false;
  // A full volume or a broken disk says no here.
  for (const char* sql : {"BEGIN", "SELECT pg_current_xact_id()",
                          "SELECT pg_logical_emit_message(true, 'foreshadow', 'write probe')", "ROLLBACK"}) {
    auto done = control->query(sql, kQuery, stop);
    if (!done && done.error().code == Code::refused) return false;
    if (!done) return tl::make_unexpected(done.error());
  }
  return true;
}

}  // namespace foreshadow::kinds::postgres
