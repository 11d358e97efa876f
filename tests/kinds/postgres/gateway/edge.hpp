// A gateway for tests, of the real parts: listener, gate and PostgreSQL protocol on a thread of their own.
#pragma once

#include <libpq-fe.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <future>
#include <memory>
#include <string>
#include <thread>

#include "kinds/postgres/gateway/protocol.hpp"
#include "proxy/gate_impl.hpp"
#include "proxy/listener.hpp"
#include "support/eventually.hpp"
#include "support/pg_cluster.hpp"

namespace foreshadow::testing {

inline Instance instance_of(const PgCluster& cluster, const std::string& id, bool tcp = false) {
  Instance i;
  i.id = id;
  i.endpoint = {tcp ? "127.0.0.1" : cluster.socket_dir(), cluster.port()};
  i.data_dir = cluster.data_dir();
  return i;
}

// Segment 0 "reports" may be served by the shadow (application_name=reports), segment 1 "app" takes everything else.
inline proxy::ListenerSettings settings_of(const Instance& primary) {
  proxy::ListenerSettings s;
  s.resource = "db";
  s.kind = "postgres";
  s.listen = {"127.0.0.1", 0};
  Segment reports, app;
  reports.id = "reports";
  reports.staleness_max = Millis{5000};
  app.id = "app";
  app.writes = true;
  s.segments = {reports, app};
  s.matches = {{"reports", {{"application_name", "reports"}}}, {"app", {}}};
  s.primary = primary;
  return s;
}

inline RouteTable table_of(std::uint64_t epoch, std::uint64_t version, const Instance& current,
                           std::optional<Instance> other = std::nullopt, double weight = 0, double mirror = 0) {
  RouteTable t;
  t.resource = "db";
  t.epoch = epoch;
  t.version = version;
  t.term = 1;
  t.current = current;
  t.other = std::move(other);
  t.routes = {{"reports", weight, mirror}, {"app", 0, 0}};
  return t;
}

class Edge {
 public:
  static io::Fd listen(const proxy::ListenerSettings& settings) {
    auto socket = proxy::listen_at(settings);
    if (!socket) throw std::runtime_error(socket.error().what);
    return std::move(*socket);
  }
  static std::unique_ptr<proxy::Protocol> protocol_of(const proxy::ListenerSettings& settings,
                                                      boost::asio::io_context& context) {
    auto made = kinds::make_postgres_protocol(settings, context.get_executor());
    if (!made) throw std::runtime_error(made.error().what);
    return std::move(*made);
  }
  explicit Edge(proxy::ListenerSettings settings)
      : settings_(std::move(settings)),
        gate_(std::make_unique<proxy::GateImpl>(
            context_.get_executor(),
            proxy::GateSettings{settings_.resource, settings_.segments, settings_.primary, 1000, 7})),
        protocol_(protocol_of(settings_, context_)),
        hall_(std::make_unique<proxy::Hall>(context_, settings_.resource, *gate_, *protocol_, crowd_, 0)),
        listener_(std::make_unique<proxy::Listener>(context_, settings_, listen(settings_), crowd_,
                                                    std::vector<proxy::Hall*>{hall_.get()})),
        work_(context_.get_executor()) {
    listener_->start();
    thread_ = std::thread([this] { context_.run(); });
  }
  ~Edge() {
    on_loop([&] {
      listener_->stop_accepting();
      hall_->close();
      gate_->close();
      protocol_->stop();
      return 0;
    });
    const auto empty = [&] { return crowd_.size() == 0; };
    if (!eventually(empty, std::chrono::seconds(5))) {
      on_loop([&] { return hall_->cancel_sessions(), 0; });
      if (!eventually(empty, std::chrono::seconds(5)))
        std::abort();  // a session that ignores cancellation: nothing below may be destroyed under it
    }
    work_.reset();
    context_.stop();
    thread_.join();
  }

  // Runs `call` on the gateway's thread and returns what it returns.
  template <class Call>
  std::invoke_result_t<Call&> on_loop(Call&& call) {
    std::promise<decltype(call())> done;
    boost::asio::post(context_, [&] { done.set_value(call()); });
    return done.get_future().get();
  }

  void put_in_force(const RouteTable& table) {
    on_loop([&] { return gate_->put_in_force(table), 0; });
  }
  // Blocks until the hold has drained or failed.
  Result<void> hold(std::uint64_t next_epoch, const HoldPolicy& policy) {
    std::promise<Result<void>> done;
    boost::asio::post(context_, [&] {
      const auto asked =
          gate_->hold(1, next_epoch, policy, [&](Result<void> result) { done.set_value(std::move(result)); });
      if (!asked) done.set_value(asked);
    });
    return done.get_future().get();
  }
  // Returns when everything the sealed side has said has been heard.
  Result<void> seal(std::uint64_t next_epoch) {
    const auto sealed = on_loop([&] { return gate_->seal(1, next_epoch); });
    if (!sealed) return sealed;
    std::promise<void> heard;
    boost::asio::post(context_, [&] { gate_->hear_out([&] { heard.set_value(); }); });
    heard.get_future().wait();
    return sealed;
  }
  void release(std::uint64_t next_epoch) {
    on_loop([&] { return gate_->release(1, next_epoch), 0; });
  }
  GatewayReport report() {
    return on_loop([&] {
      auto report = gate_->report();
      protocol_->describe(report);
      return report;
    });
  }
  int unmovable() {
    int n = 0;
    for (const auto& u : report().unmovable) n += u.sessions;
    return n;
  }
  std::string why_unmovable() {
    const auto r = report();
    return r.unmovable.empty() ? "" : r.unmovable.front().reason;
  }
  std::uint16_t port() const { return listener_->endpoint().port(); }

 private:
  boost::asio::io_context context_{1};
  proxy::ListenerSettings settings_;
  std::unique_ptr<proxy::GateImpl> gate_;
  std::unique_ptr<proxy::Protocol> protocol_;
  proxy::Crowd crowd_{1, 0};
  std::unique_ptr<proxy::Hall> hall_;
  std::unique_ptr<proxy::Listener> listener_;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
  std::thread thread_;
};

// A libpq client; results as values.
struct Answer {
  bool ok = false;
  std::string value;     // first column of the first row
  std::string sqlstate;  // when not ok
  std::string error;
};

class Client {
 public:
  explicit Client(std::uint16_t port, const std::string& more = {}) {
    connection_ = PQconnectdb(
        ("host=127.0.0.1 port=" + std::to_string(port) + " user=postgres dbname=postgres connect_timeout=20 " + more)
            .c_str());
    PQsetNoticeProcessor(connection_, [](void*, const char*) {}, nullptr);
  }
  ~Client() { PQfinish(connection_); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  bool connected() const { return PQstatus(connection_) == CONNECTION_OK; }
  std::string why() const { return PQerrorMessage(connection_); }
  PGconn* raw() const { return connection_; }

  Answer query(const std::string& sql) { return take(PQexec(connection_, sql.c_str())); }
  Answer extended(const std::string& sql, std::vector<std::string> values = {}) {
    std::vector<const char*> raw;
    for (const auto& v : values) raw.push_back(v.c_str());
    return take(
        PQexecParams(connection_, sql.c_str(), static_cast<int>(raw.size()), nullptr, raw.data(), nullptr, nullptr, 0));
  }
  Answer take(PGresult* result) const {
    Answer a;
    const auto status = PQresultStatus(result);
    a.ok = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
    if (a.ok) {
      if (PQntuples(result) > 0 && PQnfields(result) > 0) a.value = PQgetvalue(result, 0, 0);
    } else {
      const char* state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
      a.sqlstate = state ? state : "";
      a.error = PQerrorMessage(connection_);
    }
    PQclear(result);
    return a;
  }

 private:
  PGconn* connection_;
};

}  // namespace foreshadow::testing
