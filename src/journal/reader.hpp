// Reads a journal without taking part in it, for `events`, `explain`, `status` and `replay`: while its controller runs,
// or when it is dead. Never writes to it and never holds it up: each read is short, and nothing is pinned between two.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "journal/journal.hpp"

namespace foreshadow::journal {

struct Filter {
  std::uint64_t after_seq = 0;         // only later ones
  std::optional<Time> since;           // only at this time or later
  std::optional<ResourceId> resource;  // of this resource, or of all resources (empty in the record)
  std::optional<std::string> name;     // "outlook", "effect_done", "promote", ...
  std::optional<Record::Type> type;
};

struct Summary {
  std::uint64_t term = 0;       // of the latest controller
  std::uint64_t first_seq = 1;  // older records have been pruned
  std::uint64_t last_seq = 0;   // first_seq - 1: none
  Time last_at;
};

struct StateImage {
  std::uint64_t seq = 0;  // what was recorded up to here is in it
  Time at;
  std::string image;
};

// Not thread-safe.
class Reader {
 public:
  // Errors: unreachable (no journal there), invalid (not ours, or of a newer version), corrupt, io.
  static Result<Reader> open(const std::string& path);
  Reader(Reader&&) noexcept;
  Reader& operator=(Reader&&) noexcept;
  ~Reader();

  Result<Summary> summary();
  // Calls `take` with each match in order, until it returns false. Grouped records are seen once they are on disk. The
  // chain of checksums is followed all the way: corrupt names the first damaged record, after those before it were
  // given.
  Result<void> for_each(const Filter& filter, const std::function<bool(const Record&)>& take);
  // The newest State image at or before `seq`; none: nothing was recorded of it, or it was pruned.
  Result<std::optional<StateImage>> image_before(std::uint64_t seq = UINT64_MAX);

 private:
  class Impl;
  explicit Reader(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace foreshadow::journal
