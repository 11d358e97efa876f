#include "observe/series_file.hpp"

#include <fmt/format.h>
#include <sqlite3.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <utility>

namespace foreshadow::observe {
namespace {

constexpr int schema_version = 1;
constexpr const char* schema = R"(
CREATE TABLE IF NOT EXISTS series(
  id INTEGER PRIMARY KEY, resource TEXT NOT NULL, instance TEXT NOT NULL, signal TEXT NOT NULL,
  UNIQUE(resource, instance, signal)) STRICT;
CREATE TABLE IF NOT EXISTS sample(
  series INTEGER NOT NULL, at INTEGER NOT NULL, value REAL NOT NULL, PRIMARY KEY(series, at)) STRICT, WITHOUT ROWID;
)";

tl::unexpected<Error> error_of(sqlite3* db, const char* doing) {
  const int code = sqlite3_errcode(db) & 0xff;
  const bool damaged = code == SQLITE_CORRUPT || code == SQLITE_NOTADB;
  return fail(damaged ? Code::corrupt : Code::io, fmt::format("series file, {}: {}", doing, sqlite3_errmsg(db)));
}

// A prepared statement for the length of one call.
class Statement {
 public:
  Statement(sqlite3* db, const char* sql) { sqlite3_prepare_v2(db, sql, -1, &statement_, nullptr); }
  ~Statement() { sqlite3_finalize(statement_); }
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;
  bool ok() const { return statement_ != nullptr; }
  void bind(int at, std::int64_t value) { sqlite3_bind_int64(statement_, at, value); }
  void bind(int at, double value) { sqlite3_bind_double(statement_, at, value); }
  void bind(int at, const std::string& value) {
    sqlite3_bind_text(statement_, at, value.data(), static_cast<int>(value.size()), SQLITE_TRANSIENT);
  }
  int step() { return sqlite3_step(statement_); }
  void reset() { sqlite3_reset(statement_); }
  std::int64_t integer(int column) { return sqlite3_column_int64(statement_, column); }
  double real(int column) { return sqlite3_column_double(statement_, column); }
  std::string text(int column) {
    const auto* bytes = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
    return bytes ? std::string(bytes, static_cast<std::size_t>(sqlite3_column_bytes(statement_, column)))
                 : std::string();
  }

 private:
  sqlite3_stmt* statement_ = nullptr;
};

Result<void> execute(sqlite3* db, const char* sql, const char* doing) {
  if (sqlite3_exec(db, sql, nullptr, nullptr, nullptr) != SQLITE_OK) return error_of(db, doing);
  return {};
}

Result<void> prepare(sqlite3* db) {
  sqlite3_busy_timeout(db, 2000);
  FS_CHECK(
      execute(db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA journal_size_limit=4194304;", "opening"));
  {
    Statement check(db, "PRAGMA quick_check(1)");
    if (!check.ok() || check.step() != SQLITE_ROW) return error_of(db, "checking");
    auto verdict = check.text(0);
    std::ranges::replace(verdict, '\n', ' ');
    if (verdict != "ok") return fail(Code::corrupt, "series file is damaged: " + verdict);
  }
  std::int64_t version = 0;
  {
    Statement read(db, "PRAGMA user_version");
    if (!read.ok() || read.step() != SQLITE_ROW) return error_of(db, "reading its version");
    version = read.integer(0);
  }
  if (version > schema_version)
    return fail(Code::corrupt,
                fmt::format("series file has version {}, this program knows {}", version, schema_version));
  FS_CHECK(execute(db, schema, "creating tables"));
  return execute(db, fmt::format("PRAGMA user_version={}", schema_version).c_str(), "setting its version");
}

}  // namespace

Result<SeriesFile> SeriesFile::open(const std::string& path) {
  sqlite3* db = nullptr;
  const int code =
      sqlite3_open_v2(path.c_str(), &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr);
  SeriesFile file(db);
  if (db == nullptr) return fail(Code::io, "no memory for SQLite");
  if (code != SQLITE_OK) return error_of(db, "opening");
  FS_CHECK(prepare(db));
  return file;
}

SeriesFile::SeriesFile(SeriesFile&& other) noexcept
    : db_(std::exchange(other.db_, nullptr)), ids_(std::move(other.ids_)) {}
SeriesFile& SeriesFile::operator=(SeriesFile&& other) noexcept {
  if (this != &other) {
    close();
    db_ = std::exchange(other.db_, nullptr);
    ids_ = std::move(other.ids_);
  }
  return *this;
}
SeriesFile::~SeriesFile() { close(); }
void SeriesFile::close() {
  if (db_) sqlite3_close_v2(db_);
  db_ = nullptr;
}

Result<std::int64_t> SeriesFile::series_id(const SeriesKey& key) {
  if (const auto it = ids_.find(key); it != ids_.end()) return it->second;
  Statement insert(db_,
                   "INSERT INTO series(resource, instance, signal) VALUES(?,?,?) "
                   "ON CONFLICT DO UPDATE SET signal=excluded.signal RETURNING id");
  if (!insert.ok()) return error_of(db_, "naming a series");
  insert.bind(1, key.resource);
  insert.bind(2, key.instance);
  insert.bind(3, key.signal);
  if (insert.step() != SQLITE_ROW) return error_of(db_, "naming a series");
  const auto id = insert.integer(0);
  if (insert.step() != SQLITE_DONE) return error_of(db_, "naming a series");
  ids_.emplace(key, id);
  return id;
}

Result<void> SeriesFile::write(std::span<const StoredSample> samples) {
  FS_CHECK(execute(db_, "BEGIN IMMEDIATE", "beginning"));
  const auto all = [&]() -> Result<void> {
    Statement insert(db_, "INSERT OR REPLACE INTO sample(series, at, value) VALUES(?,?,?)");
    if (!insert.ok()) return error_of(db_, "writing");
    for (const auto& [key, sample] : samples) {
      FS_TRY(id, series_id(*key));
      insert.bind(1, id);
      insert.bind(2, to_ms(sample.at));
      insert.bind(3, sample.value);
      if (insert.step() != SQLITE_DONE) return error_of(db_, "writing");
      insert.reset();
    }
    return {};
  };
  auto done = all();
  if (done) done = execute(db_, "COMMIT", "committing");
  if (!done) {
    // Names given within the lost transaction are lost with it.
    ids_.clear();
    sqlite3_exec(db_, "ROLLBACK", nullptr, nullptr, nullptr);
  }
  return done;
}

Result<void> SeriesFile::load(Millis retention, std::size_t samples_max,
                              const std::function<void(const SeriesKey&, std::vector<Sample>)>& each) {
  std::int64_t newest = 0;
  {
    Statement read(db_, "SELECT max(at) FROM sample");
    if (!read.ok() || read.step() != SQLITE_ROW) return error_of(db_, "loading");
    newest = read.integer(0);
  }
  Statement names(db_, "SELECT id, resource, instance, signal FROM series");
  Statement values(db_, "SELECT at, value FROM sample WHERE series=? AND at>=? ORDER BY at DESC LIMIT ?");
  if (!names.ok() || !values.ok()) return error_of(db_, "loading");
  int code = 0;
  while ((code = names.step()) == SQLITE_ROW) {
    SeriesKey key{names.text(1), names.text(2), names.text(3)};
    values.bind(1, names.integer(0));
    values.bind(2, newest - retention.count());
    values.bind(3, static_cast<std::int64_t>(samples_max));
    std::vector<Sample> samples;
    while ((code = values.step()) == SQLITE_ROW)
      if (const double value = values.real(1); std::isfinite(value))
        samples.push_back({time_from_ms(values.integer(0)), value});
    if (code != SQLITE_DONE) return error_of(db_, "loading");
    values.reset();
    ids_.insert_or_assign(key, names.integer(0));
    if (samples.empty()) continue;
    each(key, {samples.rbegin(), samples.rend()});
  }
  if (code != SQLITE_DONE) return error_of(db_, "loading");
  return {};
}

Result<std::vector<Sample>> SeriesFile::read(const SeriesKey& key, Time from, Time to) {
  Statement values(db_,
                   "SELECT at, value FROM sample WHERE series=(SELECT id FROM series WHERE resource=? AND instance=? "
                   "AND signal=?) AND at BETWEEN ? AND ? ORDER BY at");
  if (!values.ok()) return error_of(db_, "reading");
  values.bind(1, key.resource);
  values.bind(2, key.instance);
  values.bind(3, key.signal);
  values.bind(4, to_ms(from));
  values.bind(5, to_ms(to));
  std::vector<Sample> samples;
  int code = 0;
  while ((code = values.step()) == SQLITE_ROW) samples.push_back({time_from_ms(values.integer(0)), values.real(1)});
  if (code != SQLITE_DONE) return error_of(db_, "reading");
  return samples;
}

Result<void> SeriesFile::prune(Time oldest) {
  // In one transaction per table; a series is forgotten only when nothing of it is left.
  Statement samples(db_, "DELETE FROM sample WHERE at<?");
  if (!samples.ok()) return error_of(db_, "pruning");
  samples.bind(1, to_ms(oldest));
  if (samples.step() != SQLITE_DONE) return error_of(db_, "pruning");
  FS_CHECK(execute(db_, "DELETE FROM series WHERE NOT EXISTS(SELECT 1 FROM sample WHERE sample.series=series.id)",
                   "pruning"));
  ids_.clear();
  return {};
}

Result<void> move_aside(const std::string& path) {
  std::error_code error;
  std::filesystem::rename(path, path + ".damaged", error);
  if (error && error != std::errc::no_such_file_or_directory)
    return fail(Code::io, fmt::format("cannot move {} aside: {}", path, error.message()));
  // A leftover WAL would be replayed into the fresh file.
  std::filesystem::remove(path + "-wal", error);
  if (error) return fail(Code::io, fmt::format("cannot remove {}-wal: {}", path, error.message()));
  std::filesystem::remove(path + "-shm", error);
  return {};
}

}  // namespace foreshadow::observe
