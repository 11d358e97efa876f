#include "journal/sqlite_journal.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "base/assert.hpp"
#include "domain/json.hpp"
#include "journal/chain.hpp"
#include "journal/lock.hpp"
#include "journal/schema.hpp"
#include "journal/wal_check.hpp"

namespace foreshadow::journal {
namespace {

constexpr std::uint64_t kGroupMax = 1000;
// The write-ahead log is moved home once it has about this many pages (of 4 KiB).
constexpr int kLogPagesMax = 1000;
// Bounds what one snapshot may spend on cleaning up, in records and in pages.
constexpr std::uint64_t kPruneMax = 20'000;
constexpr int kVacuumPagesMax = 2000;

constexpr const char* kMend =
    ". Nothing is decided or done on a damaged journal. Mend: stop the controller, see which instance is writable, "
    "move the "
    "journal's files (but not .lock, which keeps the term) away for inspection, and start again";

// What opening finds, before anything is written.
struct Found {
  Head head;
  Recovery recovery;
};

}  // namespace

class SqliteJournal::Impl {
 public:
  explicit Impl(SqliteSettings settings) : settings_(std::move(settings)) {}
  ~Impl();

  Result<Recovery> open();
  Result<std::uint64_t> append(Record record, bool durable);
  Result<void> snapshot(Time at, const std::string& image);
  Result<void> flush();
  bool healthy() const { return database_.has_value() && !broken_; }

 private:
  Result<bool> prepare_file();
  Result<void> configure(bool fresh);
  Result<Found> examine();
  Result<void> begin_term(Found& found);
  Result<std::uint64_t> write(Record& record);
  Result<void> commit();
  Result<void> write_image(Time at, const std::string& image);
  Result<void> prune(Time now);
  Result<void> usable() const;
  // The first failure of the disk is the last thing this journal does.
  tl::unexpected<Error> break_with(const Error& error);
  Error in_context(Error error) const;

  const SqliteSettings settings_;
  std::optional<Lock> lock_;
  std::optional<Database> database_;
  std::optional<Statement> insert_;
  std::optional<Error> broken_;
  Head head_;
  std::uint64_t grouped_ = 0;
  bool in_transaction_ = false;
};

SqliteJournal::Impl::~Impl() {
  if (healthy()) (void)flush();
  if (healthy()) (void)database_->checkpoint(true);
}

Error SqliteJournal::Impl::in_context(Error error) const {
  error.what = "journal " + settings_.path + ": " + error.what;
  if (error.code == Code::corrupt) error.what += kMend;
  return error;
}

Result<Recovery> SqliteJournal::Impl::open() {
  FS_ASSERT(!lock_);  // once
  auto lock = Lock::take(settings_.path + ".lock");
  if (!lock) return tl::make_unexpected(in_context(lock.error()));
  lock_ = std::move(*lock);
  auto found = examine();
  if (found) {
    if (auto begun = begin_term(*found); begun)
      return std::move(found->recovery);
    else
      found = tl::make_unexpected(begun.error());
  }
  // Kept locked, and closed for good: a second controller must not come to another view of the same damage.
  insert_.reset();
  database_.reset();
  return tl::make_unexpected(in_context(found.error()));
}

// True: there was no file. With our mode from the start; SQLite gives the same to the files beside it.
Result<bool> SqliteJournal::Impl::prepare_file() {
  const int fd = ::open(settings_.path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd >= 0) {
    ::close(fd);
    return true;
  }
  struct stat st{};
  if (errno != EEXIST || ::stat(settings_.path.c_str(), &st) != 0)
    return fail(Code::io, std::generic_category().message(errno));
  if (!S_ISREG(st.st_mode)) return fail(Code::invalid, "not a regular file");
  if (st.st_size == 0 && lock_->term() > 0)
    return fail(Code::corrupt,
                "the file is empty, though term " + std::to_string(lock_->term()) + " was written to it");
  return st.st_size == 0;
}

Result<void> SqliteJournal::Impl::configure(bool fresh) {
  if (fresh) {
    FS_CHECK(database_->execute("PRAGMA page_size=4096"));
    FS_CHECK(database_->execute("PRAGMA auto_vacuum=INCREMENTAL"));
  }
  FS_TRY(mode, database_->word("PRAGMA journal_mode=WAL"));
  if (mode != "wal") return fail(Code::io, "write-ahead mode is not to be had here (a network file system?)");
  return database_->execute(
      "PRAGMA synchronous=FULL; PRAGMA cell_size_check=ON; PRAGMA temp_store=MEMORY; PRAGMA mmap_size=0;"
      " PRAGMA cache_size=-4096; PRAGMA journal_size_limit=8388608");
}

Result<Found> SqliteJournal::Impl::examine() {
  FS_TRY(fresh, prepare_file());
  const auto wal = check_wal(settings_.path);
  if (!wal && wal.error().code != Code::corrupt) return tl::make_unexpected(wal.error());
  FS_TRY(database, Database::open(settings_.path, Database::Access::write, settings_.vfs));
  database_ = std::move(database);
  FS_TRY(is_new, check_version(*database_));
  if (is_new && !fresh) return fail(Code::corrupt, "it holds nothing at all");
  FS_CHECK(configure(is_new));
  if (is_new) FS_CHECK(create_schema(*database_, lock_->term()));
  Found found;
  FS_TRY(head, load_head(*database_));
  found.head = head;
  if (!wal)
    return fail(Code::corrupt, wal.error().what + ", so acknowledged records after record " +
                                   std::to_string(head.last_seq) + " are lost");
  FS_TRY(marks, image_marks(*database_));
  auto& recovery = found.recovery;
  if (!marks.empty()) {
    recovery.snapshot_seq = marks.back().seq;
    FS_TRY(image, load_image(*database_, marks.back().seq));
    recovery.snapshot = std::move(image);
  }
  Result<void> decoded;
  std::uint64_t newest_snapshot = 0;
  FS_CHECK(walk(*database_, head, head.base_seq, head.last_seq, [&](const Record& record) {
    recovery.last_at = record.at;
    if (record.type == Record::Type::snapshot) newest_snapshot = record.seq;
    if (record.type != Record::Type::event || record.seq <= recovery.snapshot_seq) return true;
    auto event = decode<Event>(std::string_view(record.body));
    // Intact, but not of our making.
    if (!event)
      decoded = fail(Code::invalid,
                     "record " + std::to_string(record.seq) + " was written by another version: " + event.error().what);
    else
      recovery.events.push_back(std::move(*event));
    return decoded.has_value();
  }));
  FS_CHECK(decoded);
  // Without it the events after it would be replayed onto the wrong state.
  if (newest_snapshot != recovery.snapshot_seq)
    return fail(Code::corrupt, "the state image after record " + std::to_string(newest_snapshot) + " is missing");
  // Finds what the chain cannot see: a damaged list of free pages would have new records written over old ones.
  FS_TRY(verdict, database_->word("PRAGMA quick_check(1)"));
  if (verdict != "ok") return fail(Code::corrupt, verdict);
  // A copy put back, or a log that was lost: decisions would repeat what has been done since.
  if (head.term < lock_->term())
    return fail(Code::corrupt, "it ends in term " + std::to_string(head.term) + ", but term " +
                                   std::to_string(lock_->term()) + " was begun here: it is an older copy");
  recovery.last_seq = head.last_seq;
  recovery.tail_cut = wal->torn;
  return found;
}

Result<void> SqliteJournal::Impl::begin_term(Found& found) {
  head_ = found.head;
  head_.term = std::max(found.head.term, lock_->term()) + 1;
  FS_TRY(insert, database_->prepare("INSERT INTO record VALUES(?, ?, ?, ?, ?, ?, ?)"));
  insert_ = std::move(insert);
  FS_CHECK(database_->execute("BEGIN IMMEDIATE"));
  FS_CHECK(store_head(*database_, head_));
  FS_CHECK(database_->execute("COMMIT"));
  FS_CHECK(lock_->begin_term(head_.term));
  // Writes home and syncs all that was recovered: after a failed fsync of a former controller the kernel shows pages
  // that the disk may not have, and reading them back proves nothing.
  FS_CHECK(database_->checkpoint(true));
  found.recovery.term = head_.term;
  return {};
}

Result<void> SqliteJournal::Impl::usable() const {
  if (broken_) return tl::make_unexpected(*broken_);
  if (!database_) return fail(Code::io, "journal " + settings_.path + ": not open");
  return {};
}

tl::unexpected<Error> SqliteJournal::Impl::break_with(const Error& error) {
  broken_ =
      Error{Code::io, "journal " + settings_.path + ": " + error.what +
                          "; nothing more is written to it. Mend the disk (or make room), then restart the controller"};
  return tl::make_unexpected(*broken_);
}

Result<std::uint64_t> SqliteJournal::Impl::write(Record& record) {
  if (!in_transaction_) FS_CHECK(database_->execute("BEGIN IMMEDIATE"));
  in_transaction_ = true;
  record.seq = head_.last_seq + 1;
  const auto sum = chained_sum(head_.last_sum, record);
  insert_->bind(1, static_cast<std::int64_t>(record.seq))
      .bind(2, static_cast<std::int64_t>(record.type))
      .bind(3, to_ms(record.at));
  insert_->bind(4, record.resource).bind(5, record.name).bind(6, record.body).bind(7, std::int64_t{sum});
  FS_TRY(row, insert_->step());
  (void)row;
  head_.last_seq = record.seq;
  head_.last_sum = sum;
  ++grouped_;
  return record.seq;
}

Result<void> SqliteJournal::Impl::commit() {
  if (!in_transaction_) return {};
  FS_CHECK(store_head(*database_, head_));
  FS_CHECK(database_->execute("COMMIT"));
  in_transaction_ = false;
  grouped_ = 0;
  return database_->log_pages() < kLogPagesMax ? Result<void>{} : database_->checkpoint(false);
}

Result<std::uint64_t> SqliteJournal::Impl::append(Record record, bool durable) {
  FS_CHECK(usable());
  auto written = write(record);
  if (written && (durable || grouped_ >= kGroupMax))
    if (auto committed = commit(); !committed) written = tl::make_unexpected(committed.error());
  if (!written) return break_with(written.error());
  return written;
}

Result<void> SqliteJournal::Impl::write_image(Time at, const std::string& image) {
  // The record has only the image's size, so that images can go while the chain stays whole.
  Record record{.type = Record::Type::snapshot,
                .at = at,
                .name = "snapshot",
                .body = "{\"bytes\":" + std::to_string(image.size()) + "}"};
  FS_TRY(seq, write(record));
  FS_TRY(insert, database_->prepare("INSERT INTO image VALUES(?, ?, ?, ?)"));
  insert.bind(1, static_cast<std::int64_t>(seq))
      .bind(2, to_ms(at))
      .bind(3, image)
      .bind(4, std::int64_t{image_sum(seq, image)});
  FS_TRY(row, insert.step());
  (void)row;
  return {};
}

// In the transaction of the image: what is deleted and the new base become true together.
Result<void> SqliteJournal::Impl::prune(Time now) {
  FS_TRY(marks, image_marks(*database_));
  if (const auto image = thin_out(settings_.retention, marks)) {
    FS_CHECK(database_->execute("DELETE FROM image WHERE seq = " + std::to_string(*image)));
    std::erase_if(marks, [&](const ImageMark& mark) { return mark.seq == *image; });
  }
  const auto keep = keep_from(settings_.retention, marks, head_.last_seq, now);
  if (!keep || *keep <= head_.base_seq) return {};
  const auto until = std::min(*keep, head_.base_seq + kPruneMax);
  FS_TRY(sum, database_->number("SELECT sum FROM record WHERE seq = " + std::to_string(until - 1)));
  FS_CHECK(database_->execute("DELETE FROM record WHERE seq < " + std::to_string(until)));
  FS_CHECK(database_->execute("DELETE FROM image WHERE seq < " + std::to_string(until)));
  head_.base_seq = until;
  head_.base_sum = static_cast<std::uint32_t>(sum);
  return {};
}

Result<void> SqliteJournal::Impl::snapshot(Time at, const std::string& image) {
  FS_CHECK(usable());
  const auto work = [&]() -> Result<void> {
    FS_CHECK(write_image(at, image));
    FS_CHECK(prune(at));
    FS_CHECK(commit());
    // Gives free pages back to the file system; those of the commit before, so it has a transaction of its own.
    return database_->execute("PRAGMA incremental_vacuum(" + std::to_string(kVacuumPagesMax) + ")");
  };
  if (auto done = work(); !done) return break_with(done.error());
  return {};
}

Result<void> SqliteJournal::Impl::flush() {
  FS_CHECK(usable());
  if (auto committed = commit(); !committed) return break_with(committed.error());
  return {};
}

SqliteJournal::SqliteJournal(SqliteSettings settings) : impl_(std::make_unique<Impl>(std::move(settings))) {}
SqliteJournal::~SqliteJournal() = default;

Result<Recovery> SqliteJournal::open() { return impl_->open(); }
Result<std::uint64_t> SqliteJournal::append(const Event& event, bool durable) {
  return impl_->append({.type = Record::Type::event,
                        .at = event.at,
                        .resource = event.resource,
                        .name = name_of(event.body),
                        .body = encode(event)},
                       durable);
}
Result<std::uint64_t> SqliteJournal::intend(const Effect& effect, Time at, bool durable) {
  return impl_->append({.type = Record::Type::intent,
                        .at = at,
                        .resource = effect.resource,
                        .name = name_of(effect.body),
                        .body = encode(effect)},
                       durable);
}
Result<void> SqliteJournal::snapshot(Time at, const std::string& image) { return impl_->snapshot(at, image); }
Result<void> SqliteJournal::flush() { return impl_->flush(); }
bool SqliteJournal::healthy() const { return impl_->healthy(); }

}  // namespace foreshadow::journal
