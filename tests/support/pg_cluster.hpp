// A real PostgreSQL cluster for tests: initdb or base backup in a temporary directory, a server on a Unix socket and a
// free loopback port, and nothing left behind. Run by root it acts as user `postgres` (the server refuses root), else
// as oneself.
//
// Never used outside tests. Failures throw std::runtime_error with the server's own words. The server gets SIGQUIT when
// the thread that called start() dies, so that a crashed test leaks nothing: start clusters from the test's main
// thread.
#pragma once

#include <sys/types.h>

#include <map>
#include <string>
#include <vector>

namespace foreshadow::testing {

struct PgOptions {
  bool fsync = false;  // off: tests are about order and truth, not about power cuts
  // Written after our own lines of postgresql.conf, so they win. Values are quoted for you.
  std::map<std::string, std::string> settings;
  // pg_hba.conf lines that come before ours ("host all app 127.0.0.1/32 scram-sha-256"); ours trust everybody local.
  std::vector<std::string> hba;
  // Extra arguments of initdb (init) or pg_basebackup (basebackup_from), e.g. {"--slot=shadow", "--create-slot"}.
  std::vector<std::string> arguments;
};

enum class PgStop { fast, immediate };

// A directory under TMPDIR (or /tmp), owned by the user the servers run as; removed with everything in it.
class PgDirectory {
 public:
  PgDirectory();
  ~PgDirectory();
  PgDirectory(const PgDirectory&) = delete;
  PgDirectory& operator=(const PgDirectory&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

class PgCluster {
 public:
  PgCluster() = default;
  // Kills every process that works in the data directory, whoever started it.
  ~PgCluster();
  PgCluster(const PgCluster&) = delete;
  PgCluster& operator=(const PgCluster&) = delete;

  // False where no PostgreSQL server is installed: skip the test then.
  static bool available();
  // Directory with initdb, postgres, pg_ctl, pg_rewind ... (FORESHADOW_PG_BIN or the newest of /usr/lib/postgresql).
  static std::string bin_dir();
  // The user servers run as; equal to our own unless we are root.
  static uid_t uid();
  static gid_t gid();

  // Data goes to `dir`/data, the socket to `dir`; `dir` must exist and belong to uid(). Superuser is "postgres".
  void init(const std::string& dir, const PgOptions& options = {});
  // A streaming standby of a running cluster (pg_basebackup -R); start() it afterwards.
  void basebackup_from(const PgCluster& primary, const std::string& dir, const PgOptions& options = {});

  // Returns when the server takes connections (a standby: read-only ones).
  void start();
  void stop(PgStop how);
  // SIGKILL to the postmaster and to every process of the cluster; returns when none is left.
  void kill();
  // Returns when the server is out of recovery.
  void promote();
  bool running() const;

  // Runs one or more statements as superuser; the first column of the last result's first row ("" when there is none).
  std::string exec(const std::string& sql, const std::string& database = "postgres") const;
  // Adds a line to postgresql.conf; takes effect at the next start or reload().
  void set(const std::string& name, const std::string& value);
  void reload() const;
  // Polls until this standby has replayed all that `primary` has written by now.
  void wait_caught_up(const PgCluster& primary) const;

  const std::string& data_dir() const { return data_dir_; }
  const std::string& socket_dir() const { return dir_; }
  std::uint16_t port() const { return port_; }
  std::string pid_file() const { return data_dir_ + "/postmaster.pid"; }
  std::string log_file() const { return dir_ + "/server.log"; }
  // The postmaster's pid as its pid file says; 0 when there is none.
  pid_t pid() const;
  // Over the Unix socket, as superuser.
  std::string conninfo(const std::string& database = "postgres") const;

  // Runs a program as uid() with a clean environment; returns its output, throws when it fails.
  static std::string run(const std::vector<std::string>& argv);

 private:
  void write_settings(const PgOptions& options);
  std::vector<pid_t> processes() const;

  std::string dir_;
  std::string data_dir_;
  std::uint16_t port_ = 0;
  pid_t child_ = 0;
};

}  // namespace foreshadow::testing
