// pg_load: open-loop writers and readers on ledger(op text, payload bytea, at timestamptz). Writers append random
// bytes, some in a statement of its own, some in pairs inside a transaction; readers (application_name=reports)
// aggregate. A failed operation is counted and never done again; a lost connection is opened anew for the next one.
#include <fmt/format.h>

#include <atomic>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "load/cli.hpp"
#include "load/pg_client.hpp"

namespace {

using load::Arrival;
using load::Micros;

struct Settings {
  load::CommonOptions common;
  std::string database;
  int writers = 8;
  int readers = 2;
  double read_rate_per_s = 20;
  double pair_share = 0.3;
  std::size_t payload_min = 4 << 10;
  std::size_t payload_max = 8 << 10;
};

// Hands out arrivals in order to whichever client is free: a client claims one and waits for its time.
class SharedSchedule {
 public:
  SharedSchedule(double rate_per_s, Micros length, std::uint64_t seed) : schedule_(rate_per_s, length, seed) {}
  std::optional<Arrival> take() {
    const std::scoped_lock lock(mutex_);
    if (schedule_.done()) return {};
    const auto arrival = schedule_.next();
    schedule_.advance();
    return arrival;
  }

 private:
  std::mutex mutex_;
  load::Schedule schedule_;
};

struct Run {
  const Settings& settings;
  load::Recorder& recorder;
  std::atomic<bool> stop{false};
};

std::string random_bytes(std::uint64_t seed, std::size_t min, std::size_t max) {
  foreshadow::Random random(seed);
  std::string bytes(min + random.below(max - min + 1), '\0');
  for (std::size_t i = 0; i < bytes.size(); i += 8) {
    const auto draw = random.next();
    bytes.replace(i, std::min<std::size_t>(8, bytes.size() - i), reinterpret_cast<const char*>(&draw),
                  std::min<std::size_t>(8, bytes.size() - i));
  }
  return bytes;
}

constexpr auto insert_sql = "INSERT INTO ledger (op, payload) VALUES ($1, $2)";

std::optional<std::string> append_one(load::PgClient& client, const std::string& op, std::uint64_t draw,
                                      const Settings& s, load::SteadyTime deadline) {
  return client.query(insert_sql, op, random_bytes(draw, s.payload_min, s.payload_max), deadline).failure;
}

// The operations it acknowledges are appended to `acknowledged`.
std::optional<std::string> write(load::PgClient& client, const Arrival& arrival, const Settings& s,
                                 load::SteadyTime deadline, std::vector<std::string>& acknowledged) {
  const auto op = fmt::format("p{}-{}", s.common.seed, arrival.seq);
  const double share = static_cast<double>(arrival.choice >> 32) / 4294967296.0;
  if (share >= s.pair_share) {
    auto failure = append_one(client, op, arrival.choice, s, deadline);
    if (!failure) acknowledged.push_back(op);
    return failure;
  }
  auto failure = client.query("BEGIN", deadline).failure;
  if (!failure) failure = append_one(client, op + "a", arrival.choice, s, deadline);
  if (!failure) failure = append_one(client, op + "b", arrival.choice + 1, s, deadline);
  if (failure) {
    if (client.connected()) client.query("ROLLBACK", deadline);
    return failure;
  }
  const auto commit = client.query("COMMIT", deadline);
  if (commit.failure) return commit.failure;
  if (commit.tag != "COMMIT") return "rolled_back";
  acknowledged.push_back(op + "a");
  acknowledged.push_back(op + "b");
  return {};
}

std::optional<std::string> read(load::PgClient& client, load::SteadyTime deadline, load::Recorder& recorder) {
  const auto reply = client.query(
      "SELECT count(*), coalesce(sum(length(payload)), 0),"
      " 1000 * extract(epoch FROM clock_timestamp() - max(at)) FROM ledger",
      deadline);
  if (!reply.failure && reply.row.size() == 3 && !reply.row[2].empty())
    recorder.largest("read_staleness_ms_max", std::stod(reply.row[2]));
  return reply.failure;
}

// One client's life. `work` does one arrival's operation on a connected client.
template <class Work>
void live(Run& run, SharedSchedule& schedule, const std::string& application_name, const char* kind, const Work& work) {
  load::PgClient client(run.settings.database + " application_name=" + application_name);
  client.connect(run.recorder.at(run.settings.common.timeout()));
  while (!run.stop) {
    const auto arrival = schedule.take();
    if (!arrival) return;
    const auto due = run.recorder.at(arrival->due);
    while (!run.stop && std::chrono::steady_clock::now() < due) {
      // In slices, so that an early end is not slept through.
      const auto slice = std::min(due, std::chrono::steady_clock::now() + std::chrono::milliseconds{100});
      if (!client.rest_until(slice)) run.recorder.failed_connection("dropped");
    }
    if (run.stop) return;
    const auto deadline = due + run.settings.common.timeout();
    std::optional<std::string> failure;
    if (!client.connected()) failure = client.connect(deadline);
    if (!failure) failure = work(client, *arrival, deadline);
    run.recorder.record({kind, arrival->due, run.recorder.now(), std::move(failure)});
  }
}

void run_load(Run& run) {
  const auto& s = run.settings;
  SharedSchedule writes(s.common.rate_per_s, s.common.length(), s.common.seed);
  // Another stream of the same seed: how often readers come must not change what writers do.
  SharedSchedule reads(s.read_rate_per_s, s.common.length(), ~s.common.seed);
  load::LivePrinter printer(run.recorder, s.common.live_ms);

  run.recorder.start();
  std::atomic<int> alive = s.writers + s.readers;
  std::vector<std::jthread> clients;
  for (int i = 0; i < s.writers; ++i)
    clients.emplace_back([&] {
      live(run, writes, "ledger", "write",
           [&](load::PgClient& client, const Arrival& arrival, load::SteadyTime deadline) {
             std::vector<std::string> acknowledged;
             auto failure = write(client, arrival, s, deadline, acknowledged);
             for (const auto& op : acknowledged) run.recorder.acknowledged(op);
             return failure;
           });
      --alive;
    });
  for (int i = 0; i < s.readers; ++i)
    clients.emplace_back([&] {
      live(run, reads, "reports", "read", [&](load::PgClient& client, const Arrival&, load::SteadyTime deadline) {
        return read(client, deadline, run.recorder);
      });
      --alive;
    });
  while (alive > 0) {
    if (s.common.told_to_stop()) run.stop = true;
    printer.tick();
    std::this_thread::sleep_for(std::chrono::milliseconds{20});
  }
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Open-loop load on ledger(op, payload, at): writers append, readers aggregate; no retries"};
  Settings settings;
  settings.common.add_to(app);
  app.add_option("--database", settings.database, "libpq connection string; passwords belong in PGPASSFILE")
      ->required();
  app.add_option("--writers", settings.writers, "Connections that write")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_option("--readers", settings.readers, "Connections that read, as application_name=reports")
      ->check(CLI::Range(0, 1000))
      ->capture_default_str();
  app.add_option("--read-rate", settings.read_rate_per_s, "Reads a second, in all")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--pair-share", settings.pair_share, "Share of BEGIN, INSERT, INSERT, COMMIT among the writes")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  app.add_option("--payload-min", settings.payload_min, "Bytes")->check(CLI::Range(1, 1 << 20))->capture_default_str();
  app.add_option("--payload-max", settings.payload_max, "Bytes")->check(CLI::Range(1, 1 << 20))->capture_default_str();
  CLI11_PARSE(app, argc, argv);

  try {
    if (settings.payload_max < settings.payload_min)
      throw std::runtime_error("--payload-max must not be below --payload-min");
    load::stop_on_signals();
    load::Recorder recorder(settings.common.acknowledged);
    Run run{settings, recorder};
    run_load(run);
    load::deliver(settings.common, recorder.report());
  } catch (const std::exception& e) {
    std::fprintf(stderr, "pg_load: %s\n", e.what());
    return 1;
  }
  return 0;
}
