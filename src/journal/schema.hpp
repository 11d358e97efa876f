// What the journal's database file holds, and reading it with every checksum checked. Shared by the writer and readers.
//
// Two tables and one row: `record` in order of seq, each with the checksum that chains it to the one before; `image`
// with a few State images; `head`, which says where the record begins and ends, so that a lost end shows as well as a
// damaged middle. No secondary index: an index can be damaged by itself, and then a search would silently miss records.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "journal/journal.hpp"
#include "journal/retention.hpp"
#include "journal/sqlite.hpp"

namespace foreshadow::journal {

inline constexpr int kSchemaVersion = 1;

struct Head {
  std::uint64_t term = 0;
  std::uint64_t base_seq = 1;  // of the first record kept
  std::uint32_t base_sum = 0;  // of the record before it
  std::uint64_t last_seq = 0;
  std::uint32_t last_sum = 0;
  friend bool operator==(const Head&, const Head&) = default;
};

// Errors: invalid (somebody else's file, or written by a newer version), corrupt. True: there was no schema yet.
Result<bool> check_version(Database& database);
// `term`: the last one begun before this file.
Result<void> create_schema(Database& database, std::uint64_t term);

Result<Head> load_head(Database& database);
Result<void> store_head(Database& database, const Head& head);

// Calls `take` with each record from `from` to at most `to`, in order; false ends it. Errors: corrupt, naming the first
// seq that is damaged or missing; those before it have been given.
Result<void> walk(Database& database, const Head& head, std::uint64_t from, std::uint64_t to,
                  const std::function<bool(const Record&)>& take);

Result<std::vector<ImageMark>> image_marks(Database& database);
// Errors: corrupt; invalid if there is none with this seq.
Result<std::string> load_image(Database& database, std::uint64_t seq);
std::uint32_t image_sum(std::uint64_t seq, const std::string& image);

}  // namespace foreshadow::journal
