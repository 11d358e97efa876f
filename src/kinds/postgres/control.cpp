#include "kinds/postgres/control.hpp"

#include <fmt/format.h>
#include <libpq-fe.h>
#include <poll.h>

#include <utility>

#include "io/wait.hpp"

namespace foreshadow::kinds::postgres {
namespace {

struct Clear {
  void operator()(PGresult* result) const { PQclear(result); }
};
using ResultPtr = std::unique_ptr<PGresult, Clear>;

// libpq ends its messages with a newline and may hold several lines.
std::string one_line(const char* text) {
  std::string out = text == nullptr ? "" : text;
  while (!out.empty() && (out.back() == '\n' || out.back() == ' ')) out.pop_back();
  for (auto& c : out)
    if (c == '\n' || c == '\t') c = ' ';
  return out.empty() ? "no reason given" : out;
}

// Before a session exists libpq gives words only. What says no for good differs from what may answer later.
Code connect_code(const std::string& text) {
  for (const char* no : {"authentication", "password", "does not exist", "no pg_hba.conf entry", "not permitted",
                         "certificate", "permission denied", "is not currently accepting"})
    if (text.find(no) != std::string::npos) return Code::refused;
  return Code::unreachable;
}

}  // namespace

void Control::Close::operator()(pg_conn* connection) const { PQfinish(connection); }
Control::Control(pg_conn* connection) : connection_(connection) {}

std::string conninfo_quote(const std::string& value) {
  std::string out = "'";
  for (const char c : value) {
    if (c == '\'' || c == '\\') out += '\\';
    out += c;
  }
  return out + "'";
}

std::string conninfo(const Endpoint& endpoint, const PgSettings& settings, const std::string& application_name) {
  std::string out =
      fmt::format("host={} port={} user={} application_name={} connect_timeout=5", conninfo_quote(endpoint.host),
                  endpoint.port, conninfo_quote(settings.replication_user), conninfo_quote(application_name));
  if (!settings.password_file.empty()) out += " passfile=" + conninfo_quote(settings.password_file);
  if (!settings.service.empty()) out += " service=" + conninfo_quote(settings.service);
  return out;
}

Result<Control> Control::connect(const Endpoint& endpoint, const PgSettings& settings, std::stop_token stop,
                                 Replication replication) {
  // A comma would make it a list of hosts, and we must know to whom we talk.
  if (endpoint.host.empty() || endpoint.host.find(',') != std::string::npos || endpoint.port == 0)
    return fail(Code::invalid, "'" + endpoint.text() + "' is not the address of one server");
  const std::string port = std::to_string(endpoint.port);
  const bool physical = replication == Replication::physical;
  std::vector<const char*> keys{
      "host", "port", "user", "application_name", "fallback_application_name", "client_encoding", "gssencmode"};
  const std::string& user = physical ? settings.replication_user : settings.user;
  std::vector<const char*> values{endpoint.host.c_str(), port.c_str(), user.c_str(), "foreshadow",
                                  "foreshadow",          "UTF8",       "disable"};
  const auto add = [&](const char* key, const char* value) {
    keys.push_back(key);
    values.push_back(value);
  };
  // lock_timeout and statement_timeout: what we abandon must not go on holding anything.
  if (physical) {
    add("replication", "true");
  } else {
    add("dbname", settings.database.c_str());
    add("options", "-c statement_timeout=30s -c lock_timeout=2s -c idle_in_transaction_session_timeout=30s");
  }
  if (!settings.password_file.empty()) add("passfile", settings.password_file.c_str());
  if (!settings.service.empty()) add("service", settings.service.c_str());
  keys.push_back(nullptr);
  values.push_back(nullptr);

  const io::Deadline deadline(settings.connect_timeout);
  const io::StopEvent stopping(std::move(stop));
  Control control(PQconnectStartParams(keys.data(), values.data(), 0));
  control.where_ = endpoint.text();
  auto* connection = control.connection_.get();
  if (connection == nullptr) return fail(Code::io, "out of memory for a connection");
  for (auto state = PGRES_POLLING_WRITING; state != PGRES_POLLING_OK; state = PQconnectPoll(connection)) {
    if (state == PGRES_POLLING_FAILED || PQstatus(connection) == CONNECTION_BAD) {
      const auto text = one_line(PQerrorMessage(connection));
      return fail(connect_code(text), control.where_ + ": " + text);
    }
    const short events = state == PGRES_POLLING_READING ? POLLIN : POLLOUT;
    FS_CHECK(io::await(PQsocket(connection), events, deadline, stopping, "connect to " + control.where_));
  }
  if (PQsetnonblocking(connection, 1) != 0) return fail(Code::io, control.where_ + ": cannot go nonblocking");
  return control;
}

Result<Rows> Control::query(const std::string& sql, Millis timeout, std::stop_token stop,
                            const std::vector<std::string>& parameters) {
  auto* connection = connection_.get();
  if (connection == nullptr || PQstatus(connection) != CONNECTION_OK)
    return fail(Code::unreachable, where_ + ": the connection is broken");
  const io::Deadline deadline(timeout);
  const io::StopEvent stopping(std::move(stop));
  std::vector<const char*> values;
  values.reserve(parameters.size());
  for (const auto& p : parameters) values.push_back(p.c_str());
  // The simple protocol where nothing needs the other: a walsender knows only that one.
  const int sent = parameters.empty() ? PQsendQuery(connection, sql.c_str())
                                      : PQsendQueryParams(connection, sql.c_str(), static_cast<int>(values.size()),
                                                          nullptr, values.data(), nullptr, nullptr, 0);
  // Whatever leaves this function early leaves an answer under way, and the connection is then of no use.
  const auto abandon = [&](Error error) -> tl::unexpected<Error> {
    connection_.reset();
    return tl::make_unexpected(std::move(error));
  };
  if (sent == 0) return abandon({Code::unreachable, where_ + ": " + one_line(PQerrorMessage(connection))});
  for (;;) {
    const int flushed = PQflush(connection);
    if (flushed == 0) break;
    if (flushed < 0) return abandon({Code::unreachable, where_ + ": " + one_line(PQerrorMessage(connection))});
    if (auto ready = io::await(PQsocket(connection), POLLOUT, deadline, stopping, "query to " + where_); !ready)
      return abandon(ready.error());
  }

  Rows rows;
  std::optional<Error> refused;
  for (;;) {
    while (PQisBusy(connection) != 0) {
      if (auto ready = io::await(PQsocket(connection), POLLIN, deadline, stopping, "query to " + where_); !ready)
        return abandon(ready.error());
      if (PQconsumeInput(connection) == 0)
        return abandon({Code::unreachable, where_ + ": " + one_line(PQerrorMessage(connection))});
    }
    const ResultPtr result(PQgetResult(connection));
    if (!result) break;
    const auto status = PQresultStatus(result.get());
    if (status == PGRES_TUPLES_OK) {
      rows.clear();
      const int columns = PQnfields(result.get());
      for (int r = 0; r < PQntuples(result.get()); ++r) {
        Row row;
        for (int c = 0; c < columns; ++c) {
          if (PQgetisnull(result.get(), r, c) != 0)
            row.emplace_back();
          else
            row.emplace_back(
                std::string(PQgetvalue(result.get(), r, c), static_cast<std::size_t>(PQgetlength(result.get(), r, c))));
        }
        rows.push_back(std::move(row));
      }
    } else if (status != PGRES_COMMAND_OK && status != PGRES_EMPTY_QUERY) {
      const char* state = PQresultErrorField(result.get(), PG_DIAG_SQLSTATE);
      // 57P01..57P03: the server goes away; without a state the connection itself broke.
      const bool gone = state == nullptr || std::string_view(state).starts_with("57P");
      refused = Error{gone ? Code::unreachable : Code::refused,
                      fmt::format("{}: {}{}", where_, one_line(PQresultErrorMessage(result.get())),
                                  state == nullptr ? "" : fmt::format(" ({})", state))};
    }
  }
  if (refused) return tl::make_unexpected(std::move(*refused));
  if (PQstatus(connection) != CONNECTION_OK) return abandon({Code::unreachable, where_ + ": the connection broke"});
  return rows;
}

Result<std::string> Control::value(const std::string& sql, Millis timeout, std::stop_token stop,
                                   const std::vector<std::string>& parameters) {
  FS_TRY(rows, query(sql, timeout, std::move(stop), parameters));
  if (rows.empty() || rows[0].empty() || !rows[0][0]) return fail(Code::refused, where_ + ": no answer to: " + sql);
  return std::move(*rows[0][0]);
}

Result<Lsn> Control::lsn(const std::string& sql, Millis timeout, std::stop_token stop) {
  FS_TRY(text, value(sql, timeout, std::move(stop)));
  return parse_lsn(text);
}

Result<bool> Control::truth(const std::string& sql, Millis timeout, std::stop_token stop) {
  FS_TRY(text, value(sql, timeout, std::move(stop)));
  if (text != "t" && text != "f") return fail(Code::invalid, where_ + ": '" + text + "' is not a boolean");
  return text == "t";
}

bool Control::broken() const { return connection_ == nullptr || PQstatus(connection_.get()) != CONNECTION_OK; }
int Control::server_version() const { return connection_ == nullptr ? 0 : PQserverVersion(connection_.get()); }

}  // namespace foreshadow::kinds::postgres
