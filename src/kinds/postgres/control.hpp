// One SQL connection of ours to one server, every call of which has a deadline and heeds a stop token. For control and
// probes only: clients' traffic never passes here.
//
// Credentials come from libpq's password or service file. A query that outlives its deadline is abandoned by closing
// the connection; the server ends it by statement_timeout, which every connection sets at its start. (PQcancel would
// block on a hung server, the very case it is needed for.)
#pragma once

#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "base/time.hpp"
#include "domain/resource.hpp"
#include "kinds/postgres/lsn.hpp"
#include "kinds/postgres/settings.hpp"

struct pg_conn;

namespace foreshadow::kinds::postgres {

// Cells as text, null as nothing.
using Row = std::vector<std::optional<std::string>>;
using Rows = std::vector<Row>;

enum class Replication { no, physical };

// Not thread-safe; movable.
class Control {
 public:
  // Errors: unreachable (nobody listens, starting up, shutting down), refused (authentication, no such database),
  // timeout, cancelled. Name resolution is libpq's and blocks: give addresses where that matters.
  static Result<Control> connect(const Endpoint& endpoint, const PgSettings& settings, std::stop_token stop,
                                 Replication replication = Replication::no);

  // One statement. Parameters are $1.. as text. Errors: refused (the server's own words and SQLSTATE), unreachable (the
  // connection broke: the statement may or may not have happened), timeout (the same), cancelled (the same).
  Result<Rows> query(const std::string& sql, Millis timeout, std::stop_token stop,
                     const std::vector<std::string>& parameters = {});
  // The first cell of the first row. refused: there is none, or it is null.
  Result<std::string> value(const std::string& sql, Millis timeout, std::stop_token stop,
                            const std::vector<std::string>& parameters = {});
  Result<Lsn> lsn(const std::string& sql, Millis timeout, std::stop_token stop);
  Result<bool> truth(const std::string& sql, Millis timeout, std::stop_token stop);

  bool broken() const;
  // PostgreSQL's number: 150020 for 15.20.
  int server_version() const;

 private:
  struct Close {
    void operator()(pg_conn* connection) const;
  };
  explicit Control(pg_conn* connection);
  std::unique_ptr<pg_conn, Close> connection_;
  std::string where_;
};

// A value inside a conninfo string, quoted as libpq reads it (34.1.1.1 Keyword/Value Connection Strings).
std::string conninfo_quote(const std::string& value);
// host, port, user, passfile, sslmode ... of a server as another server or a tool reaches it. Never a password.
std::string conninfo(const Endpoint& endpoint, const PgSettings& settings, const std::string& application_name);

}  // namespace foreshadow::kinds::postgres
