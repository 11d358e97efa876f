#include "journal/sqlite.hpp"

#include <sqlite3.h>

namespace foreshadow::journal {
namespace {

Code code_of(int result) {
  switch (result & 0xff) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return Code::corrupt;
    case SQLITE_CANTOPEN:
      return Code::unreachable;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return Code::conflict;
    default:
      return Code::io;
  }
}

tl::unexpected<Error> failure(sqlite3* database) {
  const int result = sqlite3_extended_errcode(database);
  return fail(code_of(result), std::string(sqlite3_errmsg(database)) + " (SQLite " + std::to_string(result) + ")");
}

}  // namespace

void Statement::Finalize::operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
void Database::Close::operator()(sqlite3* database) const { sqlite3_close(database); }

Statement& Statement::bind(int index, std::int64_t value) {
  sqlite3_bind_int64(statement_.get(), index, value);
  return *this;
}

Statement& Statement::bind(int index, std::string_view value) {
  sqlite3_bind_text64(statement_.get(), index, value.data(), value.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
  return *this;
}

Result<bool> Statement::step() {
  const int result = sqlite3_step(statement_.get());
  if (result == SQLITE_ROW) return true;
  if (result != SQLITE_DONE) {
    auto error = failure(sqlite3_db_handle(statement_.get()));
    reset();
    return error;
  }
  reset();
  return false;
}

void Statement::reset() { sqlite3_reset(statement_.get()); }

std::int64_t Statement::integer(int column) const { return sqlite3_column_int64(statement_.get(), column); }

std::string Statement::text(int column) const {
  const auto* bytes = reinterpret_cast<const char*>(sqlite3_column_text(statement_.get(), column));
  const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement_.get(), column));
  return bytes ? std::string(bytes, size) : std::string();
}

Result<Database> Database::open(const std::string& path, Access access, const std::string& vfs) {
  const int flags = access == Access::read ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
  sqlite3* handle = nullptr;
  const int result = sqlite3_open_v2(path.c_str(), &handle, flags, vfs.empty() ? nullptr : vfs.c_str());
  if (!handle) return fail(Code::io, "no memory for a database");
  Database database(handle);
  if (result != SQLITE_OK) return failure(handle);
  sqlite3_extended_result_codes(handle, 1);
  sqlite3_busy_timeout(handle, 2000);
  // Checkpoints are ours alone, because their errors count (see checkpoint), and closing must not write to a file
  // whose last sync failed.
  sqlite3_wal_autocheckpoint(handle, 0);
  const auto count = [](void* pages, sqlite3*, const char*, int now) {
    *static_cast<int*>(pages) = now;
    return SQLITE_OK;
  };
  sqlite3_wal_hook(handle, count, database.log_pages_.get());
  sqlite3_db_config(handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  sqlite3_db_config(handle, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  return database;
}

Result<void> Database::execute(const std::string& sql) {
  if (sqlite3_exec(database_.get(), sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK)
    return failure(database_.get());
  return {};
}

Result<Statement> Database::prepare(const std::string& sql) {
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v2(database_.get(), sql.c_str(), -1, &statement, nullptr) != SQLITE_OK)
    return failure(database_.get());
  return Statement(statement);
}

Result<std::int64_t> Database::number(const std::string& sql) {
  FS_TRY(statement, prepare(sql));
  FS_TRY(row, statement.step());
  return row ? statement.integer(0) : 0;
}

Result<std::string> Database::word(const std::string& sql) {
  FS_TRY(statement, prepare(sql));
  FS_TRY(row, statement.step());
  return row ? statement.text(0) : std::string();
}

Result<void> Database::checkpoint(bool truncate) {
  const int mode = truncate ? SQLITE_CHECKPOINT_TRUNCATE : SQLITE_CHECKPOINT_PASSIVE;
  const int result = sqlite3_wal_checkpoint_v2(database_.get(), nullptr, mode, nullptr, nullptr);
  if (result != SQLITE_OK && (result & 0xff) != SQLITE_BUSY) return failure(database_.get());
  return {};
}

}  // namespace foreshadow::journal
