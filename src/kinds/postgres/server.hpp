// Runs PostgreSQL's own programs as the owner of a data directory, and starts a server that outlives us.
#pragma once

#include <functional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "base/time.hpp"
#include "domain/resource.hpp"
#include "io/subprocess.hpp"
#include "kinds/postgres/control.hpp"
#include "kinds/postgres/data_dir.hpp"
#include "kinds/postgres/lsn.hpp"
#include "kinds/postgres/settings.hpp"

namespace foreshadow::kinds::postgres {

// `program` of the version that the cluster is of, as the cluster's owner when we are root. Exit codes are for the
// caller to judge. invalid: that version's programs are not here.
Result<io::Finished> run_tool(const PgSettings& settings, const DataDir& cluster, const std::string& program,
                              std::vector<std::string> arguments, Millis timeout, std::stop_token stop,
                              std::function<void(const std::string&)> on_stderr_line = {},
                              std::size_t output_max = 64 << 20);
// The last line a program said on standard error: its reason.
std::string last_words(const io::Finished& finished);

// What pg_control says (pg_controldata), true without a server.
struct ControlFile {
  std::string system_identifier;
  Lsn checkpoint;
  std::uint32_t timeline = 0;  // of the latest checkpoint, or of the minimum recovery point if that is higher
  std::uint64_t wal_segment_bytes = 0;
  bool checksums = false;
  bool wal_log_hints = false;
};
Result<ControlFile> parse_control_file(const std::string& text);
Result<ControlFile> read_control_file(const PgSettings& settings, const DataDir& dir, std::stop_token stop);

// Starts the server through pg_ctl, with the command line it had before (postmaster.opts), and returns once `instance`
// takes connections. Its log goes to attribute "log_file", by default "<data_dir>.server.log", beside the data: a log
// must not eat the room the data needs. refused: the server gave up, with its last words.
Result<void> start_server(const PgSettings& settings, const Instance& instance, const DataDir& dir, Millis timeout,
                          std::stop_token stop);
std::string server_log(const Instance& instance);

// Polls about every millisecond. timeout: `what` did not come true.
Result<void> wait_until(const std::string& what, Millis timeout, std::stop_token stop,
                        const std::function<Result<bool>()>& condition, Millis pause = Millis{1});

}  // namespace foreshadow::kinds::postgres
