#include "support/pg_cluster.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <libpq-fe.h>
#include <netinet/in.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <stdexcept>

#include "support/eventually.hpp"

namespace foreshadow::testing {
namespace fs = std::filesystem;
namespace {

[[noreturn]] void broken(const std::string& what) { throw std::runtime_error(what); }

const passwd& server_user() {
  static const passwd user = [] {
    const passwd* found = geteuid() == 0 ? getpwnam("postgres") : getpwuid(geteuid());
    if (!found) broken("no user to run PostgreSQL as (root needs a user named postgres)");
    return *found;
  }();
  return user;
}

std::string read_all(const std::string& path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), {}};
}

// Forks into `argv` as the server user with its output in `log`. Only async-signal-safe calls between fork and exec:
// the test process has threads.
pid_t spawn(const std::vector<std::string>& argv, const std::string& log, bool dies_with_us) {
  std::vector<char*> args;
  for (const auto& a : argv) args.push_back(const_cast<char*>(a.c_str()));
  args.push_back(nullptr);
  const uid_t uid = PgCluster::uid();
  const gid_t gid = PgCluster::gid();
  const bool change_user = geteuid() == 0;
  const std::string path = "PATH=" + PgCluster::bin_dir() + ":/usr/bin:/bin";
  char* environment[] = {const_cast<char*>(path.c_str()), const_cast<char*>("LC_ALL=C.UTF-8"),
                         const_cast<char*>("TZ=UTC"), nullptr};
  const int out = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (out < 0) broken("cannot write " + log);
  const pid_t pid = fork();
  if (pid == 0) {
    if (change_user && (setgroups(0, nullptr) != 0 || setgid(gid) != 0 || setuid(uid) != 0)) _exit(126);
    if (dies_with_us) prctl(PR_SET_PDEATHSIG, SIGQUIT);
    setpgid(0, 0);
    const int in = open("/dev/null", O_RDONLY);
    dup2(in, 0);
    dup2(out, 1);
    dup2(out, 2);
    if (chdir("/") != 0) _exit(126);
    execve(args[0], args.data(), environment);
    _exit(127);
  }
  close(out);
  if (pid < 0) broken("fork failed");
  return pid;
}

std::uint16_t free_port() {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  const bool ok = bind(fd, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
                  getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0;
  close(fd);
  if (!ok) broken("no free loopback port");
  return ntohs(address.sin_port);
}

std::string quoted(const std::string& value) {
  std::string out = "'";
  for (char c : value) {
    if (c == '\'') out += '\'';
    out += c;
  }
  return out + "'";
}

struct Finish {
  void operator()(PGconn* c) const { PQfinish(c); }
  void operator()(PGresult* r) const { PQclear(r); }
};

}  // namespace

PgDirectory::PgDirectory() {
  const char* base = std::getenv("TMPDIR");
  std::string path = std::string(base && *base ? base : "/tmp") + "/fspg-XXXXXX";
  if (!mkdtemp(path.data())) broken("cannot make a directory like " + path);
  if (geteuid() == 0 && chown(path.c_str(), PgCluster::uid(), PgCluster::gid()) != 0) broken("cannot chown " + path);
  path_ = path;
}

PgDirectory::~PgDirectory() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

uid_t PgCluster::uid() { return server_user().pw_uid; }
gid_t PgCluster::gid() { return server_user().pw_gid; }

std::string PgCluster::bin_dir() {
  if (const char* given = std::getenv("FORESHADOW_PG_BIN")) return given;
  std::string best;
  int best_version = 0;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator("/usr/lib/postgresql", none)) {
    const int version = std::atoi(entry.path().filename().c_str());
    if (version > best_version && fs::exists(entry.path() / "bin/initdb")) {
      best_version = version;
      best = entry.path() / "bin";
    }
  }
  return best;
}

bool PgCluster::available() { return !bin_dir().empty() && (geteuid() != 0 || getpwnam("postgres") != nullptr); }

std::string PgCluster::run(const std::vector<std::string>& argv) {
  std::string log = "/tmp/fspg-run-XXXXXX";
  const int fd = mkstemp(log.data());
  if (fd < 0) broken("mkstemp failed");
  close(fd);
  const pid_t pid = spawn(argv, log, false);
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  const std::string output = read_all(log);
  unlink(log.c_str());
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) broken(fmt::format("{} failed: {}", argv.front(), output));
  return output;
}

void PgCluster::init(const std::string& dir, const PgOptions& options) {
  dir_ = dir;
  data_dir_ = dir + "/data";
  std::vector<std::string> argv{
      bin_dir() + "/initdb", "-D", data_dir_, "-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8",
      "--locale=C.UTF-8"};
  argv.insert(argv.end(), options.arguments.begin(), options.arguments.end());
  run(argv);
  write_settings(options);
}

void PgCluster::basebackup_from(const PgCluster& primary, const std::string& dir, const PgOptions& options) {
  dir_ = dir;
  data_dir_ = dir + "/data";
  std::vector<std::string> argv{
      bin_dir() + "/pg_basebackup", "-D", data_dir_, "-R", "-X", "stream", "-c", "fast", "--no-sync", "-d",
      primary.conninfo("")};
  argv.insert(argv.end(), options.arguments.begin(), options.arguments.end());
  run(argv);
  write_settings(options);
}

void PgCluster::write_settings(const PgOptions& options) {
  port_ = free_port();
  set("port", std::to_string(port_));
  set("listen_addresses", "127.0.0.1");
  set("unix_socket_directories", dir_);
  set("fsync", options.fsync ? "on" : "off");
  set("wal_level", "replica");
  set("max_wal_senders", "10");
  set("wal_log_hints", "on");
  set("hot_standby", "on");
  set("shared_buffers", "16MB");
  set("wal_retrieve_retry_interval", "100ms");
  for (const auto& [name, value] : options.settings) set(name, value);
  std::ofstream hba(data_dir_ + "/pg_hba.conf", std::ios::trunc);
  for (const auto& line : options.hba) hba << line << '\n';
  hba << "local all all trust\nhost all all 127.0.0.1/32 trust\n"
      << "local replication all trust\nhost replication all 127.0.0.1/32 trust\n";
}

void PgCluster::set(const std::string& name, const std::string& value) {
  std::ofstream conf(data_dir_ + "/postgresql.conf", std::ios::app);
  conf << name << " = " << quoted(value) << '\n';
}

void PgCluster::start() {
  child_ = spawn({bin_dir() + "/postgres", "-D", data_dir_}, log_file(), true);
  const std::string info = conninfo();
  bool died = false;
  const bool up = eventually(
      [&] {
        died = waitpid(child_, nullptr, WNOHANG) == child_;
        return died || PQping(info.c_str()) == PQPING_OK;
      },
      std::chrono::seconds(60));
  if (died) child_ = 0;
  if (!up || died) broken("PostgreSQL did not start: " + read_all(log_file()));
}

pid_t PgCluster::pid() const {
  const std::string text = read_all(pid_file());
  return text.empty() ? 0 : static_cast<pid_t>(std::atoi(text.c_str()));
}

// PostgreSQL's processes all work in the data directory; that finds also those an agent under test has started.
std::vector<pid_t> PgCluster::processes() const {
  std::vector<pid_t> found;
  if (data_dir_.empty()) return found;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator("/proc", none)) {
    const pid_t pid = static_cast<pid_t>(std::atoi(entry.path().filename().c_str()));
    if (pid <= 0) continue;
    std::error_code gone;
    if (fs::read_symlink(entry.path() / "cwd", gone) == data_dir_ && !gone) found.push_back(pid);
  }
  return found;
}

bool PgCluster::running() const { return !processes().empty(); }

void PgCluster::stop(PgStop how) {
  const pid_t postmaster = pid();
  if (postmaster > 0) ::kill(postmaster, how == PgStop::fast ? SIGINT : SIGQUIT);
  const bool gone = eventually([&] {
    if (child_ > 0 && waitpid(child_, nullptr, WNOHANG) == child_) child_ = 0;
    return processes().empty();
  });
  if (!gone) kill();
}

void PgCluster::kill() {
  const bool gone = eventually([&] {
    const auto left = processes();
    for (pid_t pid : left) ::kill(pid, SIGKILL);
    if (child_ > 0 && waitpid(child_, nullptr, WNOHANG) == child_) child_ = 0;
    return left.empty() && child_ == 0;
  });
  if (!gone) broken("processes of " + data_dir_ + " survive SIGKILL");
}

PgCluster::~PgCluster() {
  try {
    kill();
  } catch (const std::exception& e) {
    fmt::print(stderr, "{}\n", e.what());
  }
}

void PgCluster::promote() {
  exec("SELECT pg_promote(false)");
  if (!eventually([&] { return exec("SELECT pg_is_in_recovery()") == "f"; })) broken("promotion did not end");
}

std::string PgCluster::conninfo(const std::string& database) const {
  std::string info = fmt::format("host={} port={} user=postgres connect_timeout=10", dir_, port_);
  if (!database.empty()) info += " dbname=" + database;
  return info;
}

std::string PgCluster::exec(const std::string& sql, const std::string& database) const {
  const std::unique_ptr<PGconn, Finish> connection(PQconnectdb(conninfo(database).c_str()));
  if (PQstatus(connection.get()) != CONNECTION_OK) broken(PQerrorMessage(connection.get()));
  const std::unique_ptr<PGresult, Finish> result(PQexec(connection.get(), sql.c_str()));
  const auto status = PQresultStatus(result.get());
  if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK && status != PGRES_EMPTY_QUERY)
    broken(sql + ": " + PQerrorMessage(connection.get()));
  return PQntuples(result.get()) > 0 && PQnfields(result.get()) > 0 ? PQgetvalue(result.get(), 0, 0) : "";
}

void PgCluster::reload() const { exec("SELECT pg_reload_conf()"); }

void PgCluster::wait_caught_up(const PgCluster& primary) const {
  const std::string lsn = primary.exec("SELECT pg_current_wal_flush_lsn()");
  if (!eventually([&] { return exec("SELECT coalesce(pg_last_wal_replay_lsn() >= '" + lsn + "', false)") == "t"; }))
    broken("the standby does not catch up with " + lsn);
}

}  // namespace foreshadow::testing
