#include "shop/store.hpp"

#include <fmt/format.h>
#include <libpq-fe.h>

#include <array>
#include <charconv>
#include <string_view>

namespace shop {

struct Store::Result {
  std::unique_ptr<PGresult, decltype(&PQclear)> rows{nullptr, &PQclear};

  bool ok() const {
    const auto status = PQresultStatus(rows.get());
    return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
  }
  int count() const { return PQntuples(rows.get()); }
  std::string text(int column) const { return PQgetvalue(rows.get(), 0, column); }
  std::int64_t number(int column) const {
    const std::string_view digits = PQgetvalue(rows.get(), 0, column);
    std::int64_t value = 0;
    std::from_chars(digits.data(), digits.data() + digits.size(), value);
    return value;
  }
};

Store::Store(std::string conninfo) : conninfo_(std::move(conninfo)) {}
Store::~Store() { PQfinish(connection_); }

bool Store::connected() {
  // Taking in what has come shows a server that left while nobody asked it anything: connect again before the work, not
  // after its failure.
  if (connection_ != nullptr && PQconsumeInput(connection_) == 1 && PQstatus(connection_) == CONNECTION_OK) return true;
  PQfinish(connection_);
  connection_ = PQconnectdb(conninfo_.c_str());
  if (PQstatus(connection_) == CONNECTION_OK) return true;
  why_ = PQerrorMessage(connection_);
  return false;
}

Store::Result Store::checked(Result result) {
  if (!result.ok()) why_ = PQerrorMessage(connection_);
  return result;
}
Store::Result Store::exec(const char* sql) {
  Result result;
  result.rows.reset(PQexec(connection_, sql));
  return checked(std::move(result));
}
Store::Result Store::exec(const char* sql, const char* const* values, int n) {
  Result result;
  result.rows.reset(PQexecParams(connection_, sql, n, nullptr, values, nullptr, nullptr, 0));
  return checked(std::move(result));
}

bool Store::create_schema(int products) {
  if (!connected()) return false;
  const auto fill = fmt::format(
      "INSERT INTO products SELECT i, 'product ' || i, 100 + i % 900 FROM generate_series(1, {}) i ON CONFLICT DO "
      "NOTHING",
      products);
  return exec("CREATE TABLE IF NOT EXISTS products (id bigint PRIMARY KEY, name text NOT NULL, price bigint NOT NULL)")
             .ok() &&
         exec(
             "CREATE TABLE IF NOT EXISTS orders (op text NOT NULL, amount bigint NOT NULL,"
             " at timestamptz NOT NULL DEFAULT clock_timestamp())")
             .ok() &&
         exec(
             "CREATE TABLE IF NOT EXISTS ledger (op text NOT NULL, amount bigint NOT NULL,"
             " at timestamptz NOT NULL DEFAULT clock_timestamp())")
             .ok() &&
         exec("CREATE INDEX IF NOT EXISTS orders_op ON orders (op)").ok() &&
         exec("CREATE INDEX IF NOT EXISTS ledger_op ON ledger (op)").ok() && exec(fill.c_str()).ok();
}

bool Store::ping() { return connected() && exec("SELECT 1").ok(); }

std::optional<Product> Store::product(std::int64_t id, bool& found) {
  found = false;
  if (!connected()) return {};
  const auto text = std::to_string(id);
  const std::array values{text.c_str()};
  const auto result = exec("SELECT name, price FROM products WHERE id = $1::bigint", values.data(), 1);
  if (!result.ok()) return {};
  found = result.count() == 1;
  if (!found) return Product{};
  return Product{result.text(0), result.number(1)};
}

std::optional<OrderCount> Store::order(const std::string& op) {
  if (!connected()) return {};
  const std::array values{op.c_str()};
  const auto result =
      exec("SELECT (SELECT count(*) FROM orders WHERE op = $1), (SELECT count(*) FROM ledger WHERE op = $1)",
           values.data(), 1);
  if (!result.ok()) return {};
  return OrderCount{result.number(0), result.number(1)};
}

bool Store::place(const std::string& op, std::int64_t amount, bool mirrored) {
  if (!connected()) return false;
  const auto amount_text = std::to_string(amount);
  const std::array values{op.c_str(), amount_text.c_str()};
  const bool done = exec(mirrored ? "BEGIN; SET LOCAL lock_timeout = '250ms'" : "BEGIN").ok() &&
                    exec("INSERT INTO orders (op, amount) VALUES ($1, $2::bigint)", values.data(), 2).ok() &&
                    exec("INSERT INTO ledger (op, amount) VALUES ($1, $2::bigint)", values.data(), 2).ok();
  if (!done) {
    const auto why = why_;
    exec("ROLLBACK");
    why_ = why;
    return false;
  }
  return exec(mirrored ? "ROLLBACK" : "COMMIT").ok();
}

}  // namespace shop
