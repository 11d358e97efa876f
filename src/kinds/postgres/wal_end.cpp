#include "kinds/postgres/wal_end.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>

#include "io/fd.hpp"

namespace foreshadow::kinds::postgres {
namespace {

constexpr std::uint64_t kPage = 8192;
constexpr std::uint64_t kShortHeader = 24;
constexpr std::uint64_t kLongHeader = 40;
constexpr std::uint64_t kRecordHeader = 24;
constexpr std::uint64_t kRecordMax = 1 << 30;
constexpr std::uint16_t kLong = 0x0002;

template <class T>
T get(const char* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof value);
  return value;
}

// The log page by page; a page is there if its header is that of its place on this timeline.
class Pages {
 public:
  Pages(const DataDir& dir, const LogPlace& place) : dir_(dir), place_(place) {}

  // Start of the page that holds `at`.
  static std::uint64_t page_of(std::uint64_t at) { return at - at % kPage; }

  bool has(std::uint64_t page) {
    const auto* bytes = read(page);
    if (bytes == nullptr) return false;
    const auto magic = get<std::uint16_t>(bytes->data());
    if (magic == 0 || (magic_ && magic != *magic_)) return false;
    return get<std::uint32_t>(bytes->data() + 4) == place_.timeline && get<std::uint64_t>(bytes->data() + 8) == page;
  }
  // All pages of a log have the magic number of its server's version.
  void expect_magic_of(std::uint64_t page) {
    if (const auto* bytes = read(page)) magic_ = get<std::uint16_t>(bytes->data());
  }
  std::uint64_t header_bytes(std::uint64_t page) {
    const auto* bytes = read(page);
    return bytes != nullptr && (get<std::uint16_t>(bytes->data() + 2) & kLong) != 0 ? kLongHeader : kShortHeader;
  }
  // `n` bytes of content from `at` on, past the headers of pages between. Nothing: a page on the way is not there.
  std::optional<std::string> content(std::uint64_t at, std::uint64_t n) {
    std::string out;
    while (out.size() < n) {
      const auto page = page_of(at);
      if (!has(page)) return std::nullopt;
      if (at == page) at += header_bytes(page);
      const auto take = std::min(n - out.size(), page + kPage - at);
      out.append(read(page)->data() + (at - page), take);
      at += take;
    }
    return out;
  }
  // Where `n` bytes of content end that begin at `at`; their pages need not be there.
  std::uint64_t skip(std::uint64_t at, std::uint64_t n) const {
    for (;;) {
      const auto page = page_of(at);
      if (at == page) at += page % place_.segment_bytes == 0 ? kLongHeader : kShortHeader;
      const auto room = page + kPage - at;
      if (n <= room) return at + n;
      n -= room;
      at = page + kPage;
    }
  }

 private:
  // Null: cannot be read, or only in part.
  const std::array<char, kPage>* read(std::uint64_t page) {
    if (page_ == page) return there_ ? &bytes_ : nullptr;
    page_ = page;
    const auto number = page / place_.segment_bytes;
    if (segment_ != number) {
      segment_ = number;
      const auto path = dir_.path() + "/pg_wal/" + segment_name(place_, number);
      file_ = io::Fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    }
    there_ = file_ && ::pread(file_.get(), bytes_.data(), kPage, static_cast<off_t>(page % place_.segment_bytes)) ==
                          static_cast<ssize_t>(kPage);
    return there_ ? &bytes_ : nullptr;
  }

  const DataDir& dir_;
  const LogPlace place_;
  std::optional<std::uint16_t> magic_;
  std::optional<std::uint64_t> page_;
  std::optional<std::uint64_t> segment_;
  io::Fd file_;
  bool there_ = false;
  std::array<char, kPage> bytes_{};
};

// Of the segments behind `number`, one that holds a page of this log: its own file is gone, or it was written after
// this log's end.
Result<std::optional<std::uint64_t>> later_segment(const DataDir& dir, const LogPlace& place, std::uint64_t number) {
  std::error_code error;
  std::filesystem::directory_iterator it(dir.path() + "/pg_wal", error);
  for (; !error && it != std::filesystem::directory_iterator(); it.increment(error)) {
    const auto name = it->path().filename().string();
    std::uint64_t id = 0, within = 0;
    if (name.size() != 24 || !name.starts_with(fmt::format("{:08X}", place.timeline))) continue;
    const auto* text = name.data();
    if (std::from_chars(text + 8, text + 16, id, 16).ptr != text + 16) continue;
    if (std::from_chars(text + 16, text + 24, within, 16).ptr != text + 24) continue;
    const auto other = id * (0x100000000ULL / place.segment_bytes) + within;
    if (other > number && holds_page(dir, place, Lsn{other * place.segment_bytes})) return std::optional(other);
  }
  if (error) return fail(Code::corrupt, dir.path() + "/pg_wal: " + error.message());
  return std::optional<std::uint64_t>();
}

constexpr std::uint64_t align(std::uint64_t n) { return (n + 7) / 8 * 8; }

}  // namespace

std::string segment_name(const LogPlace& place, std::uint64_t number) {
  const auto per_id = 0x100000000ULL / place.segment_bytes;
  return fmt::format("{:08X}{:08X}{:08X}", place.timeline, number / per_id, number % per_id);
}

bool holds_page(const DataDir& dir, const LogPlace& place, Lsn at) { return Pages(dir, place).has(at.value); }

Result<Lsn> end_of_log(const DataDir& dir, const LogPlace& place, Lsn last) {
  if (place.segment_bytes == 0 || place.segment_bytes % kPage != 0)
    return fail(Code::corrupt, fmt::format("log segments of {} bytes", place.segment_bytes));
  Pages pages(dir, place);
  const auto unlike = [&](std::uint64_t at) {
    return fail(Code::corrupt,
                fmt::format("the log of {} goes on behind {}, where it cannot be read: it is damaged there", dir.path(),
                            Lsn{at}.text()));
  };
  pages.expect_magic_of(Pages::page_of(last.value));
  const auto header = pages.content(last.value, kRecordHeader);
  if (!header) return fail(Code::corrupt, fmt::format("no record of {} at {}", dir.path(), last.text()));
  const auto length = get<std::uint32_t>(header->data());
  const auto info = static_cast<std::uint8_t>((*header)[16]);
  const auto manager = static_cast<std::uint8_t>((*header)[17]);
  if (length < kRecordHeader || length > kRecordMax)
    return fail(Code::corrupt, fmt::format("no record of {} at {}", dir.path(), last.text()));

  // Where the next one would begin. A segment may be left early (XLOG_SWITCH): the rest of it is pages without records.
  auto next = align(pages.skip(last.value, length));
  if (manager == 0 && (info & 0xF0) == 0x40) next = (last.value / place.segment_bytes + 1) * place.segment_bytes;
  const Lsn end{next};
  auto page = Pages::page_of(next);
  // The one where the end is, and the next, are looked at page by page.
  FS_TRY(later, later_segment(dir, place, (page + kPage) / place.segment_bytes));
  if (later) return unlike(*later * place.segment_bytes);
  if (next == page) {
    if (!pages.has(page)) return end;
    next += pages.header_bytes(page);
  }
  // In the last page that was written anything may stand behind the last whole record: half of what was to come.
  if (!pages.has(page + kPage)) return end;
  // There is another, so what begins here was complete when that was written, at least as far as the end of this page.
  if (next + sizeof(std::uint32_t) > page + kPage) return unlike(next);
  const auto begun = pages.content(next, sizeof(std::uint32_t));
  const auto begun_length = begun ? get<std::uint32_t>(begun->data()) : 0;
  if (begun_length < kRecordHeader || begun_length > kRecordMax) return unlike(next);
  const auto begun_end = pages.skip(next, begun_length);
  if (begun_end <= page + kPage) return unlike(next);
  // A record over several pages, not all of which were written before the server died: nothing may stand behind them.
  const auto last_page = Pages::page_of(begun_end - 1);
  while (page <= last_page && pages.has(page)) page += kPage;
  if (page > last_page || pages.has(last_page + kPage)) return unlike(next);
  return end;
}

}  // namespace foreshadow::kinds::postgres
