// The little of SQLite that the journal needs, with failure as a value. Result codes: https://sqlite.org/rescode.html
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.hpp"

struct sqlite3;
struct sqlite3_stmt;

namespace foreshadow::journal {

class Statement {
 public:
  // Parameters count from 1. Text is copied.
  Statement& bind(int index, std::int64_t value);
  Statement& bind(int index, std::string_view value);
  // True: a row is there. After an error or the last row it is reset and may be bound again.
  Result<bool> step();
  void reset();
  // Columns count from 0. Of a damaged row these give 0 and "" rather than fail; checksums find it out.
  std::int64_t integer(int column) const;
  std::string text(int column) const;

 private:
  friend class Database;
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const;
  };
  explicit Statement(sqlite3_stmt* statement) : statement_(statement) {}
  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
};

class Database {
 public:
  enum class Access { read, write };
  // `vfs` empty: the default. Errors: unreachable (no such file, when reading), io, corrupt (not a database).
  static Result<Database> open(const std::string& path, Access access, const std::string& vfs);

  Result<void> execute(const std::string& sql);
  Result<Statement> prepare(const std::string& sql);
  // The first column of the only row of `sql`.
  Result<std::int64_t> number(const std::string& sql);
  Result<std::string> word(const std::string& sql);
  // Moves the write-ahead log into the database file as far as readers allow, and syncs it. `truncate`: also tries to
  // empty the log, waiting for readers up to the busy timeout. Readers in the way are no error.
  Result<void> checkpoint(bool truncate);
  // Pages in the write-ahead log after the last commit of this connection.
  int log_pages() const { return *log_pages_; }

 private:
  struct Close {
    void operator()(sqlite3* database) const;
  };
  explicit Database(sqlite3* database) : database_(database) {}
  std::unique_ptr<int> log_pages_ = std::make_unique<int>(0);  // SQLite keeps its address
  std::unique_ptr<sqlite3, Close> database_;
};

}  // namespace foreshadow::journal
