#include "journal/reader.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include "journal/schema.hpp"

namespace foreshadow::journal {
namespace {

// Records copied out per read transaction; a caller who waits for a person's key holds none.
constexpr std::uint64_t kBatch = 500;

bool matches(const Filter& filter, const Record& record) {
  return (!filter.since || record.at >= *filter.since) &&
         (!filter.resource || record.resource == *filter.resource || record.resource.empty()) &&
         (!filter.name || record.name == *filter.name) && (!filter.type || record.type == *filter.type);
}

}  // namespace

class Reader::Impl {
 public:
  Impl(std::string path, Database database) : path_(std::move(path)), database_(std::move(database)) {}

  Result<Summary> summary();
  Result<void> for_each(const Filter& filter, const std::function<bool(const Record&)>& take);
  Result<std::optional<StateImage>> image_before(std::uint64_t seq);

  template <class Work>
  auto transaction(Work&& work) -> decltype(work()) {
    if (auto begun = database_.execute("BEGIN"); !begun) return tl::make_unexpected(in_context(begun.error()));
    auto result = work();
    (void)database_.execute("ROLLBACK");
    if (!result) return tl::make_unexpected(in_context(result.error()));
    return result;
  }

  Database& database() { return database_; }

 private:
  Error in_context(Error error) const {
    error.what = "journal " + path_ + ": " + error.what;
    return error;
  }
  Result<std::uint64_t> first_since(const Head& head, Time since);

  std::string path_;
  Database database_;
};

// Times never fall as seq rises, so a search by halves finds the place without an index.
Result<std::uint64_t> Reader::Impl::first_since(const Head& head, Time since) {
  FS_TRY(query, database_.prepare("SELECT at FROM record WHERE seq = ?"));
  std::uint64_t low = head.base_seq, high = head.last_seq + 1;
  while (low < high) {
    const auto middle = low + (high - low) / 2;
    FS_TRY(row, query.bind(1, static_cast<std::int64_t>(middle)).step());
    if (!row) return fail(Code::corrupt, "record " + std::to_string(middle) + " is missing");
    if (time_from_ms(query.integer(0)) < since)
      low = middle + 1;
    else
      high = middle;
    query.reset();
  }
  return low;
}

Result<Summary> Reader::Impl::summary() {
  return transaction([&]() -> Result<Summary> {
    FS_TRY(head, load_head(database_));
    FS_TRY(at, database_.number("SELECT at FROM record WHERE seq = " + std::to_string(head.last_seq)));
    return Summary{head.term, head.base_seq, head.last_seq, time_from_ms(at)};
  });
}

Result<void> Reader::Impl::for_each(const Filter& filter, const std::function<bool(const Record&)>& take) {
  std::uint64_t next = filter.after_seq + 1;
  bool searched = !filter.since;
  for (;;) {
    std::vector<Record> batch;
    bool at_end = false;
    const auto read = transaction([&]() -> Result<void> {
      FS_TRY(head, load_head(database_));
      if (!searched) {
        FS_TRY(first, first_since(head, *filter.since));
        next = std::max(next, first);
        searched = true;
      }
      next = std::max(next, head.base_seq);  // pruned meanwhile
      const auto last = next > head.last_seq ? head.last_seq : std::min(head.last_seq, next + kBatch - 1);
      at_end = last == head.last_seq;
      return walk(database_, head, next, last, [&](const Record& record) {
        next = record.seq + 1;
        if (matches(filter, record)) batch.push_back(record);
        return true;
      });
    });
    for (const auto& record : batch)
      if (!take(record)) return {};
    FS_CHECK(read);
    if (at_end) return {};
  }
}

Result<std::optional<StateImage>> Reader::Impl::image_before(std::uint64_t seq) {
  return transaction([&]() -> Result<std::optional<StateImage>> {
    FS_TRY(marks, image_marks(database_));
    const auto after = std::ranges::upper_bound(marks, seq, {}, &ImageMark::seq);
    if (after == marks.begin()) return std::optional<StateImage>{};
    const auto& mark = *std::prev(after);
    FS_TRY(image, load_image(database_, mark.seq));
    return std::optional{StateImage{mark.seq, mark.at, std::move(image)}};
  });
}

Result<Reader> Reader::open(const std::string& path) {
  auto database = Database::open(path, Database::Access::read, "");
  if (!database && database.error().code == Code::unreachable)
    return fail(Code::unreachable, "no journal at " + path + ": has a controller run with this state_dir?");
  if (!database) return fail(database.error().code, "journal " + path + ": " + database.error().what);
  auto impl = std::make_unique<Impl>(path, std::move(*database));
  FS_CHECK(impl->transaction([&]() -> Result<void> {
    FS_TRY(is_new, check_version(impl->database()));
    if (is_new) return fail(Code::unreachable, "nothing has been recorded yet");
    return {};
  }));
  return Reader(std::move(impl));
}

Reader::Reader(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Reader::Reader(Reader&&) noexcept = default;
Reader& Reader::operator=(Reader&&) noexcept = default;
Reader::~Reader() = default;

Result<Summary> Reader::summary() { return impl_->summary(); }
Result<void> Reader::for_each(const Filter& filter, const std::function<bool(const Record&)>& take) {
  return impl_->for_each(filter, take);
}
Result<std::optional<StateImage>> Reader::image_before(std::uint64_t seq) { return impl_->image_before(seq); }

}  // namespace foreshadow::journal
