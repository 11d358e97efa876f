// The journal of the simulated world: the same promises as the one on disk, without a disk. A MemoryDisk outlives the
// controllers that come and go on it; crash() loses exactly what nobody was promised, every time the same.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "journal/journal.hpp"
#include "journal/retention.hpp"

namespace foreshadow::journal {

struct MemoryRecord {
  std::uint64_t seq = 0;
  Time at;
  struct Snapshot {};
  std::variant<Event, Effect, Snapshot> what;
};

// Not thread-safe.
class MemoryDisk {
 public:
  explicit MemoryDisk(Retention retention = {}) : retention_(retention) {}

  // The controller's process dies: what was not durable is gone, and the lock is free. Journals still holding this disk
  // fail from now on. A failed disk is mended too.
  void crash();
  // From now on nothing becomes durable (a failed fsync, a full disk), and every journal on it fails.
  void fail_writes(std::string why) { failure_ = std::move(why); }
  // Record `seq` can no longer be read: the next open finds it.
  void damage(std::uint64_t seq) { damaged_seq_ = seq; }

  // All that a controller would find, in order.
  const std::vector<MemoryRecord>& records() const { return records_; }
  std::uint64_t durable_seq() const { return durable_seq_; }
  std::uint64_t term() const { return term_; }

 private:
  friend class MemoryJournal;
  struct Image {
    Time at;
    std::string image;
  };
  void let_go();
  void prune(Time now);

  Retention retention_;
  std::vector<MemoryRecord> records_;
  std::map<std::uint64_t, Image> images_;
  std::uint64_t durable_seq_ = 0, last_seq_ = 0, term_ = 0;
  std::uint64_t session_ = 0;  // of the holder; rises with each open and crash
  bool held_ = false;
  std::optional<std::string> failure_;
  std::optional<std::uint64_t> damaged_seq_;
};

class MemoryJournal final : public Journal {
 public:
  explicit MemoryJournal(MemoryDisk& disk) : disk_(disk) {}
  // A clean end: what is grouped becomes durable.
  ~MemoryJournal() override;

  Result<Recovery> open() override;
  Result<std::uint64_t> append(const Event& event, bool durable) override;
  Result<std::uint64_t> intend(const Effect& effect, Time at, bool durable) override;
  Result<void> snapshot(Time at, const std::string& image) override;
  Result<void> flush() override;
  bool healthy() const override { return holds() && !broken_; }

 private:
  bool holds() const { return session_ != 0 && disk_.session_ == session_ && disk_.held_; }
  Result<void> usable();
  Result<std::uint64_t> write(MemoryRecord record, bool durable);
  Result<void> make_durable();

  MemoryDisk& disk_;
  std::uint64_t session_ = 0;
  std::optional<Error> broken_;
};

}  // namespace foreshadow::journal
