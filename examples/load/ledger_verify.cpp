// ledger_verify: what became of the writes. Every acknowledged operation must be in every table exactly once.
// An operation that was not acknowledged may be there once or not at all (its client could not know), never twice.
#include <fmt/format.h>
#include <libpq-fe.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cctype>
#include <cstdio>
#include <exception>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace {

using Counts = std::unordered_map<std::string, long>;

std::unordered_set<std::string> read_acknowledged(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw std::runtime_error("cannot read " + path);
  std::unordered_set<std::string> ops;
  for (std::string line; std::getline(file, line);) ops.insert(line);
  return ops;
}

Counts count_ops(PGconn* connection, const std::string& table) {
  if (table.empty() || !std::ranges::all_of(table, [](unsigned char c) { return std::isalnum(c) || c == '_'; }))
    throw std::runtime_error("'" + table + "' is not a plain table name");
  const auto sql = fmt::format("SELECT op, count(*) FROM {} GROUP BY op", table);
  const std::unique_ptr<PGresult, decltype(&PQclear)> rows(PQexec(connection, sql.c_str()), &PQclear);
  if (PQresultStatus(rows.get()) != PGRES_TUPLES_OK) throw std::runtime_error(PQerrorMessage(connection));
  Counts counts;
  for (int i = 0; i < PQntuples(rows.get()); ++i)
    counts[PQgetvalue(rows.get(), i, 0)] = std::stol(PQgetvalue(rows.get(), i, 1));
  return counts;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Counts lost and doubled operations. Exit code 0: none; 1: some; 2: could not tell"};
  std::string acknowledged_file;
  std::string database;
  std::vector<std::string> tables;
  app.add_option("--acknowledged", acknowledged_file, "One operation a line, as the load generators write it")
      ->required();
  app.add_option("--database", database, "libpq connection string; passwords belong in PGPASSFILE")->required();
  app.add_option("--table", tables, "Has a column op; may be given several times")->required();
  CLI11_PARSE(app, argc, argv);

  try {
    const auto acknowledged = read_acknowledged(acknowledged_file);
    const std::unique_ptr<PGconn, decltype(&PQfinish)> connection(PQconnectdb(database.c_str()), &PQfinish);
    if (PQstatus(connection.get()) != CONNECTION_OK) throw std::runtime_error(PQerrorMessage(connection.get()));

    // An operation is lost if any table lacks it, and doubled if any has it twice.
    std::unordered_set<std::string> lost, doubled, unacknowledged;
    for (const auto& table : tables) {
      const auto counts = count_ops(connection.get(), table);
      for (const auto& op : acknowledged)
        if (!counts.contains(op)) lost.insert(op);
      for (const auto& [op, n] : counts) {
        if (n > 1) doubled.insert(op);
        if (!acknowledged.contains(op)) unacknowledged.insert(op);
      }
    }
    const auto some = [](const std::unordered_set<std::string>& ops) {
      std::vector<std::string> sorted(ops.begin(), ops.end());
      std::ranges::sort(sorted);
      sorted.resize(std::min<std::size_t>(sorted.size(), 10));
      return sorted;
    };
    const nlohmann::json report{{"writes_acknowledged", acknowledged.size()},
                                {"writes_lost", lost.size()},
                                {"writes_doubled", doubled.size()},
                                {"unacknowledged_present", unacknowledged.size()},
                                {"lost", some(lost)},
                                {"doubled", some(doubled)}};
    std::printf("%s\n", report.dump().c_str());
    return lost.empty() && doubled.empty() ? 0 : 1;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "ledger_verify: %s\n", e.what());
    return 2;
  }
}
