// What the stall of a PostgreSQL handover consists of on the host: alternating handovers of a real pair on a real disk,
// under writers that are held meanwhile, each step timed as the agent's desk sees it. The gateways' drain, the
// controller's journal and the way between the processes come on top; `foreshadow explain` shows those of a real one.
//
//   ./dev bench stall [HANDOVERS [CLIENTS]]     20 handovers, 16 clients; TMPDIR says on which disk
#include <fcntl.h>
#include <fmt/format.h>
#include <libpq-fe.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "act/agent/client.hpp"
#include "act/agent/desk.hpp"
#include "base/log.hpp"
#include "io/rpc.hpp"
#include "kinds/postgres/host_promoter.hpp"
#include "kinds/postgres/host_replicator.hpp"
#include "kinds/postgres/processes.hpp"
#include "support/pg_cluster.hpp"

namespace {

using namespace foreshadow;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

struct Finish {
  void operator()(PGconn* c) const { PQfinish(c); }
  void operator()(PGresult* r) const { PQclear(r); }
};
using Connection = std::unique_ptr<PGconn, Finish>;

double ms(Clock::duration d) { return std::chrono::duration<double, std::milli>(d).count(); }

std::string conninfo(const Instance& i) {
  return fmt::format("host={} port={} user=postgres dbname=postgres application_name=writer", i.endpoint.host,
                     i.endpoint.port);
}

// Clients in a closed loop of small transactions over rows that their server has in its buffers. A hold waits for what
// is in flight; what was acknowledged is counted by each.
class Writers {
 public:
  static constexpr unsigned kRows = 500'000;

  Writers(const Instance& target, int count) : target_(conninfo(target)) {
    for (int i = 0; i < count; ++i) threads_.emplace_back([this, i](std::stop_token stop) { run(stop, i); });
  }
  ~Writers() {
    for (auto& thread : threads_) thread.request_stop();
    release(std::nullopt);
  }
  void hold() {
    std::unique_lock lock(mutex_);
    held_ = true;
    changed_.wait(lock, [&] { return working_ == 0; });
  }
  void release(const std::optional<Instance>& target) {
    const std::lock_guard lock(mutex_);
    if (target) {
      target_ = conninfo(*target);
      ++route_;
    }
    held_ = false;
    changed_.notify_all();
  }
  long acknowledged() const { return acknowledged_; }
  long failed() const { return failed_; }

 private:
  void run(const std::stop_token& stop, int number) {
    Connection connection;
    int route = -1;
    for (unsigned n = static_cast<unsigned>(number) * 7919; !stop.stop_requested(); n = n * 1'664'525 + 1'013'904'223) {
      std::string target;
      {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return !held_; });
        if (stop.stop_requested()) return;
        ++working_;
        if (route != route_) connection.reset();
        route = route_;
        target = target_;
      }
      if (!connection) connection.reset(PQconnectdb(target.c_str()));
      const auto text = fmt::format("UPDATE rows SET v = v + 1 WHERE id = {}; INSERT INTO history VALUES ({}, {})",
                                    n % kRows + 1, number, n);
      const std::unique_ptr<PGresult, Finish> result(PQexec(connection.get(), text.c_str()));
      if (PQresultStatus(result.get()) == PGRES_COMMAND_OK)
        ++acknowledged_;
      else
        ++failed_, connection.reset();
      const std::lock_guard lock(mutex_);
      --working_;
      changed_.notify_all();
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::string target_;
  int route_ = 0;
  int working_ = 0;
  bool held_ = false;
  std::atomic<long> acknowledged_{0}, failed_{0};
  std::vector<std::jthread> threads_;
};

// One small write and its sync, as the steps make them.
double sync_ms(const std::string& dir) {
  const auto path = dir + "/sync";
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0) throw std::runtime_error("cannot write " + path);
  std::vector<double> took;
  const std::vector<char> page(8192, 'x');
  for (int i = 0; i < 100; ++i) {
    const auto began = Clock::now();
    if (::pwrite(file, page.data(), page.size(), 0) < 0 || ::fdatasync(file) != 0)
      throw std::runtime_error("sync " + path);
    took.push_back(ms(Clock::now() - began));
  }
  ::close(file);
  std::sort(took.begin(), took.end());
  return took[took.size() / 2];
}

class Profile {
 public:
  template <class T>
  T step(const std::string& name, const std::function<Result<T>()>& work) {
    const auto began = Clock::now();
    auto result = work();
    add(name, ms(Clock::now() - began));
    if (!result) throw std::runtime_error(name + ": " + result.error().what);
    return std::move(*result);
  }
  void add(const std::string& name, double took_ms) {
    if (!took_.contains(name)) order_.push_back(name);
    took_[name].push_back(took_ms);
  }
  void print() {
    fmt::print("{:<28}{:>9}{:>9}{:>9}   ms\n", "step", "p50", "p90", "max");
    for (const auto& name : order_) {
      auto& all = took_[name];
      std::sort(all.begin(), all.end());
      fmt::print("{:<28}{:>9.1f}{:>9.1f}{:>9.1f}\n", name, all[all.size() / 2], all[all.size() * 9 / 10], all.back());
    }
  }

 private:
  std::vector<std::string> order_;
  std::map<std::string, std::vector<double>> took_;
};

int run(int handovers, int clients) {
  using testing::PgCluster;
  if (!PgCluster::available()) throw std::runtime_error("no PostgreSQL server is installed");
  testing::PgDirectory dir_a, dir_b, state;
  PgCluster cluster;
  cluster.init(
      dir_a.path(),
      {.fsync = true, .settings = {{"shared_buffers", "128MB"}, {"max_wal_size", "2GB"}, {"max_connections", "300"}}});
  cluster.start();
  Instance primary{.id = "a",
                   .endpoint = {cluster.socket_dir(), cluster.port()},
                   .data_dir = cluster.data_dir(),
                   .pid_file = cluster.pid_file()};
  Instance shadow{.id = "b", .endpoint = {dir_b.path(), cluster.port()}, .data_dir = dir_b.path() + "/data"};
  shadow.pid_file = shadow.data_dir + "/postmaster.pid";
  const auto shadow_dir = shadow.data_dir;
  cluster.exec("CREATE TABLE history (writer int, n bigint)");
  cluster.exec(fmt::format(
      "CREATE TABLE rows AS SELECT g AS id, 0 AS v, repeat('x', 80) AS filler FROM generate_series(1, {}) g",
      Writers::kRows));
  cluster.exec("ALTER TABLE rows ADD PRIMARY KEY (id); CHECKPOINT");

  auto desk = act::Desk::open({.name = "bench",
                               .state_dir = state.path(),
                               .ports = [](const std::string&, const ResourceId&,
                                           std::map<std::string, std::string> options) -> Result<act::HostPorts> {
                                 FS_TRY(settings, kinds::postgres::pg_settings(options));
                                 return act::HostPorts{kinds::postgres::host_replicator(settings),
                                                       kinds::postgres::host_promoter(settings)};
                               }});
  if (!desk) throw std::runtime_error(desk.error().what);
  const auto socket = state.path() + "/agent.sock";
  auto server = io::RpcServer::listen(socket, [&](const nlohmann::json& request) { return (*desk)->handle(request); });
  if (!server) throw std::runtime_error(server.error().what);
  const act::AgentAddress address{socket, "postgres", {{"max_rate", "unlimited"}, {"headroom_min", "1MiB"}}};
  const auto promoter = act::remote_promoter(address);
  if (const auto followed = act::remote_replicator(address)->follow(primary, shadow, 5min, {}, {}); !followed)
    throw std::runtime_error(followed.error().what);

  fmt::print("{} handovers of a pair on {}, {} clients, shared_buffers 128 MB, one sync {:.2f} ms\n\n", handovers,
             dir_a.path(), clients, sync_ms(state.path()));
  Profile profile;
  long acknowledged = 0, failed = 0;
  {
    Writers writers(primary, clients);
    std::uint64_t epoch = 0;
    for (int n = 0; n < handovers; ++n) {
      const act::Authority who{"bench", 1, ++epoch};
      std::this_thread::sleep_for(1s);  // the load between two, so that buffers and log are a busy server's
      profile.step<std::string>("prepare", [&] { return promoter->prepare(who, primary, shadow, {}); });
      const auto began = Clock::now();
      writers.hold();
      profile.add("drain (of this loader)", ms(Clock::now() - began));
      const auto proof =
          profile.step<std::string>("prove equal", [&] { return promoter->prove_equal(who, primary, shadow, {}); });
      const auto fencing = Clock::now();
      const auto fenced = profile.step<std::string>("fence", [&] { return promoter->fence(who, primary, shadow, {}); });
      const auto checked = profile.step<act::Finding>(
          "check the fenced", [&] { return promoter->check_fenced(who, primary, shadow, proof, {}); });
      profile.add("fence and check", ms(Clock::now() - fencing));
      profile.step<std::string>("promote", [&] { return promoter->promote(who, shadow, {}); });
      profile.add("hold to promoted", ms(Clock::now() - began));
      writers.release(shadow);
      if (n == 0) fmt::print("  {}\n  {}\n\n", fenced, checked.text);
      profile.step<std::string>("rejoin (nobody waits)", [&] { return promoter->rejoin(who, primary, shadow, {}); });
      std::swap(primary, shadow);
    }
    writers.hold();
    acknowledged = writers.acknowledged();
    failed = writers.failed();
  }
  profile.print();
  const Connection last(PQconnectdb(conninfo(primary).c_str()));
  const std::unique_ptr<PGresult, Finish> counted(PQexec(last.get(), "SELECT count(*) FROM history"));
  const long present = std::atol(PQgetvalue(counted.get(), 0, 0));
  fmt::print("\n{} writes acknowledged, {} present, {} failed\n", acknowledged, present, failed);
  static_cast<void>(kinds::postgres::kill_processes(shadow_dir, 0ms, 10s));
  return present == acknowledged && failed == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  log::init("bench", log::Level::error);
  // /tmp may be memory, and this is about disks.
  ::setenv("TMPDIR", "/var/tmp", 0);
  const int handovers = argc > 1 ? std::atoi(argv[1]) : 20;
  const int clients = argc > 2 ? std::atoi(argv[2]) : 16;
  if (argc > 3 || handovers < 1 || handovers > 10'000 || clients < 1 || clients > 200) {
    fmt::print(stderr, "usage: stall_bench [HANDOVERS [CLIENTS]], at most 10000 and 200\n");
    return 2;
  }
  try {
    return run(handovers, clients);
  } catch (const std::exception& e) {
    fmt::print(stderr, "stall_bench: {}\n", e.what());
    return 1;
  }
}
