#include "journal/schema.hpp"

#include <algorithm>

#include "journal/chain.hpp"

namespace foreshadow::journal {
namespace {

constexpr std::int64_t kApplicationId = 0x46534a4c;  // "FSJL"

std::uint32_t head_sum(const Head& head) {
  std::string text;
  for (const std::uint64_t field :
       {head.term, head.base_seq, std::uint64_t{head.base_sum}, head.last_seq, std::uint64_t{head.last_sum}})
    text += std::to_string(field) + ",";
  return crc32c(text);
}

std::int64_t to_sql(std::uint64_t value) { return static_cast<std::int64_t>(value); }

tl::unexpected<Error> damaged(std::uint64_t seq, const std::string& how) {
  return fail(Code::corrupt, "record " + std::to_string(seq) + " " + how);
}

}  // namespace

Result<bool> check_version(Database& database) {
  FS_TRY(version, database.number("PRAGMA user_version"));
  FS_TRY(application, database.number("PRAGMA application_id"));
  FS_TRY(tables, database.number("SELECT count(*) FROM sqlite_master"));
  if (version == 0 && application == 0 && tables == 0) return true;
  if (application != kApplicationId) return fail(Code::invalid, "not a Foreshadow journal; give another state_dir");
  if (version > kSchemaVersion)
    return fail(Code::invalid, "written by a newer Foreshadow (format " + std::to_string(version) +
                                   "; this one knows up to " + std::to_string(kSchemaVersion) + "): use that one");
  if (version < kSchemaVersion)
    return fail(Code::corrupt, "its header is damaged (format " + std::to_string(version) + ")");
  return false;
}

Result<void> create_schema(Database& database, std::uint64_t term) {
  FS_CHECK(database.execute("BEGIN IMMEDIATE"));
  FS_CHECK(database.execute(
      "CREATE TABLE record(seq INTEGER PRIMARY KEY, type INTEGER NOT NULL, at INTEGER NOT NULL, resource TEXT NOT NULL,"
      " name TEXT NOT NULL, body TEXT NOT NULL, sum INTEGER NOT NULL);"
      "CREATE TABLE image(seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, body TEXT NOT NULL, sum INTEGER NOT NULL);"
      "CREATE TABLE head(one INTEGER PRIMARY KEY CHECK(one = 1), term INTEGER NOT NULL, base_seq INTEGER NOT NULL,"
      " base_sum INTEGER NOT NULL, last_seq INTEGER NOT NULL, last_sum INTEGER NOT NULL, sum INTEGER NOT NULL);"));
  FS_CHECK(store_head(database, Head{.term = term}));
  FS_CHECK(database.execute("PRAGMA application_id=" + std::to_string(kApplicationId)));
  FS_CHECK(database.execute("PRAGMA user_version=" + std::to_string(kSchemaVersion)));
  return database.execute("COMMIT");
}

Result<Head> load_head(Database& database) {
  FS_TRY(query, database.prepare("SELECT term, base_seq, base_sum, last_seq, last_sum, sum FROM head WHERE one = 1"));
  FS_TRY(row, query.step());
  if (!row) return fail(Code::corrupt, "its head is missing");
  const Head head{static_cast<std::uint64_t>(query.integer(0)), static_cast<std::uint64_t>(query.integer(1)),
                  static_cast<std::uint32_t>(query.integer(2)), static_cast<std::uint64_t>(query.integer(3)),
                  static_cast<std::uint32_t>(query.integer(4))};
  if (query.integer(5) != head_sum(head)) return fail(Code::corrupt, "its head is damaged");
  return head;
}

Result<void> store_head(Database& database, const Head& head) {
  FS_TRY(update, database.prepare("INSERT OR REPLACE INTO head VALUES(1, ?, ?, ?, ?, ?, ?)"));
  update.bind(1, to_sql(head.term)).bind(2, to_sql(head.base_seq)).bind(3, std::int64_t{head.base_sum});
  update.bind(4, to_sql(head.last_seq)).bind(5, std::int64_t{head.last_sum}).bind(6, std::int64_t{head_sum(head)});
  FS_TRY(row, update.step());
  (void)row;
  return {};
}

Result<void> walk(Database& database, const Head& head, std::uint64_t from, std::uint64_t to,
                  const std::function<bool(const Record&)>& take) {
  from = std::max(from, head.base_seq);
  to = std::min(to, head.last_seq);
  if (from > to) return {};
  std::uint32_t before = head.base_sum;
  if (from > head.base_seq) {
    FS_TRY(query, database.prepare("SELECT sum FROM record WHERE seq = ?"));
    FS_TRY(row, query.bind(1, to_sql(from - 1)).step());
    if (!row) return damaged(from - 1, "is missing");
    before = static_cast<std::uint32_t>(query.integer(0));
  }
  FS_TRY(query,
         database.prepare(
             "SELECT seq, type, at, resource, name, body, sum FROM record WHERE seq BETWEEN ? AND ? ORDER BY seq"));
  query.bind(1, to_sql(from)).bind(2, to_sql(to));
  for (std::uint64_t expected = from; expected <= to; ++expected) {
    auto row = query.step();
    if (!row && row.error().code == Code::corrupt) return damaged(expected, "cannot be read: " + row.error().what);
    if (!row) return tl::make_unexpected(row.error());
    Record record;
    if (*row) record.seq = static_cast<std::uint64_t>(query.integer(0));
    if (!*row || record.seq != expected) return damaged(expected, "is missing");
    const auto type = query.integer(1);
    record.type = type == 0 ? Record::Type::event : type == 1 ? Record::Type::intent : Record::Type::snapshot;
    record.at = time_from_ms(query.integer(2));
    record.resource = query.text(3);
    record.name = query.text(4);
    record.body = query.text(5);
    const auto sum = chained_sum(before, record);
    if (type < 0 || type > 2 || query.integer(6) != std::int64_t{sum})
      return damaged(expected, "does not match its checksum");
    if (expected == head.last_seq && sum != head.last_sum) return damaged(expected, "is not the one the head names");
    before = sum;
    if (!take(record)) return {};
  }
  return {};
}

Result<std::vector<ImageMark>> image_marks(Database& database) {
  FS_TRY(query, database.prepare("SELECT seq, at FROM image ORDER BY seq"));
  std::vector<ImageMark> marks;
  for (;;) {
    FS_TRY(row, query.step());
    if (!row) return marks;
    marks.push_back({static_cast<std::uint64_t>(query.integer(0)), time_from_ms(query.integer(1))});
  }
}

Result<std::string> load_image(Database& database, std::uint64_t seq) {
  FS_TRY(query, database.prepare("SELECT body, sum FROM image WHERE seq = ?"));
  FS_TRY(row, query.bind(1, to_sql(seq)).step());
  if (!row) return fail(Code::invalid, "there is no state image after record " + std::to_string(seq));
  auto image = query.text(0);
  if (query.integer(1) != std::int64_t{image_sum(seq, image)})
    return fail(Code::corrupt, "the state image after record " + std::to_string(seq) + " does not match its checksum");
  return image;
}

std::uint32_t image_sum(std::uint64_t seq, const std::string& image) {
  return crc32c(image, crc32c(std::to_string(seq)));
}

}  // namespace foreshadow::journal
