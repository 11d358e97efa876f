#include "kinds/postgres/pair.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <libpq-fe.h>

#include <stdexcept>

#include "kinds/postgres/processes.hpp"
#include "support/eventually.hpp"

namespace foreshadow::testing {
namespace {

struct Finish {
  void operator()(PGconn* c) const { PQfinish(c); }
  void operator()(PGresult* r) const { PQclear(r); }
};
using Connection = std::unique_ptr<PGconn, Finish>;
using Answer = std::unique_ptr<PGresult, Finish>;

std::string conninfo_of(const Instance& instance) {
  return fmt::format("host={} port={} user=postgres dbname=postgres connect_timeout=5 application_name=ledger",
                     instance.endpoint.host, instance.endpoint.port);
}

Answer run(const Instance& instance, const std::string& text) {
  const Connection connection(PQconnectdb(conninfo_of(instance).c_str()));
  if (PQstatus(connection.get()) != CONNECTION_OK) throw std::runtime_error(PQerrorMessage(connection.get()));
  Answer answer(PQexec(connection.get(), text.c_str()));
  const auto status = PQresultStatus(answer.get());
  if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK)
    throw std::runtime_error(text + ": " + PQerrorMessage(connection.get()));
  return answer;
}

}  // namespace

std::string sql(const Instance& instance, const std::string& text) {
  const auto answer = run(instance, text);
  return PQntuples(answer.get()) > 0 ? PQgetvalue(answer.get(), 0, 0) : "";
}

bool answers(const Instance& instance) { return PQping(conninfo_of(instance).c_str()) == PQPING_OK; }

std::set<long> ledger_of(const Instance& instance) {
  const auto answer = run(instance, "SELECT id FROM ledger");
  std::set<long> out;
  for (int i = 0; i < PQntuples(answer.get()); ++i)
    out.insert(std::strtol(PQgetvalue(answer.get(), i, 0), nullptr, 10));
  return out;
}

Ledger::Ledger(const Instance& target, int writers) : conninfo_(conninfo_of(target)) {
  sql(target, "CREATE TABLE IF NOT EXISTS ledger (id bigint PRIMARY KEY, filler text)");
  for (int i = 0; i < writers; ++i) in_flight_.push_back(std::make_unique<std::mutex>());
  for (int i = 0; i < writers; ++i)
    threads_.emplace_back([this, i](std::stop_token stop) { write(std::move(stop), i); });
}

Ledger::~Ledger() { stop(); }

void Ledger::stop() {
  for (auto& thread : threads_) thread.request_stop();
  threads_.clear();
}

void Ledger::hold() {
  gate_.lock();
  for (auto& one : in_flight_) {
    one->lock();
    one->unlock();
  }
}

void Ledger::release(const Instance& target) {
  {
    const std::lock_guard lock(mutex_);
    conninfo_ = conninfo_of(target);
    ++route_;
  }
  gate_.unlock();
}

std::set<long> Ledger::acknowledged() const {
  const std::lock_guard lock(mutex_);
  return acknowledged_;
}
std::size_t Ledger::count() const {
  const std::lock_guard lock(mutex_);
  return acknowledged_.size();
}

void Ledger::write(std::stop_token stop, int number) {
  Connection connection;
  std::uint64_t route = 0;
  while (!stop.stop_requested()) {
    std::unique_lock gate(gate_, std::try_to_lock);
    if (!gate) {
      std::this_thread::yield();
      continue;
    }
    const std::lock_guard working(*in_flight_[static_cast<std::size_t>(number)]);
    std::string info;
    {
      const std::lock_guard lock(mutex_);
      if (route != route_) connection.reset();
      route = route_;
      info = conninfo_;
    }
    gate.unlock();
    if (!connection) connection.reset(PQconnectdb(info.c_str()));
    const long id = next_++;
    const Answer answer(
        PQexec(connection.get(), fmt::format("INSERT INTO ledger VALUES ({}, repeat('x', 200))", id).c_str()));
    if (PQresultStatus(answer.get()) == PGRES_COMMAND_OK) {
      const std::lock_guard lock(mutex_);
      acknowledged_.insert(id);
    } else {
      ++failed_;
      connection.reset();
    }
  }
}

Pair::Pair(const PgOptions& given, std::string primary_dir) {
  if (!PgCluster::available()) throw std::runtime_error("no PostgreSQL server is installed");
  cluster.init(primary_dir.empty() ? dir_a.path() : primary_dir, given);
  cluster.start();
  primary = {.id = "shop-a",
             .endpoint = {cluster.socket_dir(), cluster.port()},
             .data_dir = cluster.data_dir(),
             .pid_file = cluster.pid_file()};
  shadow = {.id = "shop-b", .endpoint = {dir_b.path(), cluster.port()}, .data_dir = dir_b.path() + "/data"};
  shadow.pid_file = shadow.data_dir + "/postmaster.pid";
  agent = std::make_unique<AgentProcess>(state.path());
}

Pair::~Pair() {
  agent.reset();
  static_cast<void>(kinds::postgres::kill_processes(shadow.data_dir, Millis{0}, std::chrono::seconds(10)));
}

std::unique_ptr<act::Replicator> Pair::replicator() const {
  return act::remote_replicator({agent->socket(), "postgres", options});
}
std::unique_ptr<act::Promoter> Pair::promoter() const {
  return act::remote_promoter({agent->socket(), "postgres", options});
}

void Pair::make_shadow() {
  const auto followed = replicator()->follow(primary, shadow, std::chrono::minutes(2), {}, {});
  ASSERT_TRUE(followed.has_value()) << followed.error().what;
}

}  // namespace foreshadow::testing
