// The journal of a controller, in one SQLite file (mode 0600) on its host.
//
// Write-ahead mode with synchronous=FULL: a durable commit costs one fsync, and a reader, even one stopped in mid-read,
// can never hold up the controller, as in rollback mode it would. Checkpoints are run and checked here: SQLite's own
// ignore a failed fsync, and the next one then "succeeds" over pages the kernel has dropped.
//
// Records that need not be durable wait in an open transaction and go down with the next durable one; the transaction
// is also closed after 1000 records. Never read from here: readers open their own Reader.
#pragma once

#include <memory>
#include <string>

#include "journal/journal.hpp"
#include "journal/retention.hpp"

namespace foreshadow::journal {

struct SqliteSettings {
  std::string path;
  Retention retention;
  // Name of a registered SQLite VFS; empty: the default. For tests that make a disk fail.
  std::string vfs;
};

class SqliteJournal final : public Journal {
 public:
  explicit SqliteJournal(SqliteSettings settings);
  // Flushes what is grouped, if healthy.
  ~SqliteJournal() override;

  Result<Recovery> open() override;
  Result<std::uint64_t> append(const Event& event, bool durable) override;
  Result<std::uint64_t> intend(const Effect& effect, Time at, bool durable) override;
  Result<void> snapshot(Time at, const std::string& image) override;
  Result<void> flush() override;
  bool healthy() const override;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace foreshadow::journal
