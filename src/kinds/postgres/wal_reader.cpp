#include "kinds/postgres/wal_reader.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

#include "base/crc32c.hpp"

namespace foreshadow::kinds::postgres {
namespace {

using Bytes = std::span<const std::uint8_t>;

// Written by the machine it is read on, so in its byte order.
template <class T>
T load(const std::uint8_t* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

constexpr std::uint64_t aligned(std::uint64_t bytes) { return (bytes + 7) & ~std::uint64_t{7}; }

// XLogPageHeaderData: magic 2, info 2, timeline 4, address 8, remaining 4; the long one adds system identifier 8,
// segment size 4, page size 4.
constexpr std::uint64_t kShortHeader = 24;
constexpr std::uint64_t kLongHeader = 40;
constexpr std::uint16_t kContinues = 0x0001;
constexpr std::uint16_t kIsLong = 0x0002;
constexpr std::uint16_t kRemovable = 0x0004;

// XLogRecord: total length 4, transaction 4, previous 8, info 1, resource manager 1, nothing 2, checksum 4.
constexpr std::uint64_t kRecordHeader = 24;
constexpr std::size_t kChecksumAt = 20;
constexpr std::uint32_t kRecordMax = 1020U << 20;  // XLogRecordMaxSize

constexpr std::uint8_t kManagerXlog = 0;
constexpr std::uint8_t kManagerTransaction = 1;
constexpr std::uint8_t kManagerMessage = 21;  // the last of the server's own
constexpr std::uint8_t kManagerCustom = 128;  // an extension's, from here on
constexpr std::uint8_t kXlogSwitch = 0x40;
constexpr std::uint8_t kCommit = 0x00, kPrepare = 0x10, kCommitPrepared = 0x30;

tl::unexpected<Error> doubt(std::uint64_t at, std::string_view why) {
  return fail(Code::corrupt, fmt::format("{} at {}", why, Lsn{at}.text()));
}

bool zeroes(Bytes bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](std::uint8_t b) { return b == 0; });
}

// Microseconds since 2000 (TimestampTz), as people read them.
std::string time_text(std::int64_t microseconds) {
  constexpr std::int64_t kEpoch = 946'684'800, kYear9999 = 252'000'000'000;
  const auto seconds = microseconds / 1'000'000;
  if (microseconds < 0 || seconds > kYear9999) return fmt::format("at {} us", microseconds);
  const std::chrono::sys_seconds at{std::chrono::seconds(seconds + kEpoch)};
  return fmt::format("{:%Y-%m-%d %H:%M:%S}.{:06} UTC", at, microseconds % 1'000'000);
}

// What a record says beyond its header. Only records without blocks are asked, so anything else there is doubt.
std::optional<Bytes> main_data(Bytes record) {
  constexpr std::uint8_t kShort = 255, kLong = 254, kOrigin = 253, kTopLevel = 252;
  std::size_t at = kRecordHeader;
  while (at < record.size()) {
    const auto id = record[at++];
    std::size_t length = 0;
    if (id == kOrigin) {
      at += 2;
      continue;
    }
    if (id == kTopLevel) {
      at += 4;
      continue;
    }
    if (id == kShort && at + 1 <= record.size()) {
      length = record[at++];
    } else if (id == kLong && at + 4 <= record.size()) {
      length = load<std::uint32_t>(record.data() + at);
      at += 4;
    } else {
      return std::nullopt;
    }
    // It is the last thing in a record, and the record ends with it.
    if (record.size() - at != length) return std::nullopt;
    return record.subspan(at);
  }
  return std::nullopt;
}

// xl_logical_message: database 4, transactional 1, nothing 3, length of prefix 8, of message 8, then both; the prefix
// ends in a zero.
std::optional<bool> message_of_ours(Bytes data) {
  constexpr std::size_t kHead = 24;
  constexpr std::string_view kPrefix("foreshadow", 11);
  if (data.size() < kHead) return std::nullopt;
  const auto prefix = load<std::uint64_t>(data.data() + 8);
  const auto message = load<std::uint64_t>(data.data() + 16);
  const auto room = data.size() - kHead;
  if (prefix > room || message != room - prefix) return std::nullopt;
  return prefix == kPrefix.size() && std::memcmp(data.data() + kHead, kPrefix.data(), kPrefix.size()) == 0;
}

class Scan {
 public:
  Scan(WalPages& pages, const WalScan& scan) : pages_(pages), scan_(scan), tally_(scan.from) {}

  Result<WalTail> run() {
    if (!std::has_single_bit(scan_.segment_bytes) || scan_.segment_bytes < (1U << 20) ||
        scan_.segment_bytes > (1U << 30))
      return fail(Code::corrupt, fmt::format("no segment is of {} bytes", scan_.segment_bytes));
    FS_TRY(first, first_record_of_page());
    for (auto at = first;;) {
      FS_TRY(record, read(at));
      if (!record) break;
      if (record->at >= scan_.start.value) FS_CHECK(tell(*record));
      at = record->next;
    }
    auto tail = tally_.take();
    if (tail.records == 0) return doubt(scan_.start.value, "no record at or after");
    return tail;
  }

 private:
  struct Page {
    std::uint64_t address = 0;
    std::uint64_t header = kShortHeader;
    bool continues = false;
    std::uint32_t remaining = 0;
    const std::uint8_t* bytes = nullptr;
  };
  struct Record {
    std::uint64_t at = 0;
    std::uint64_t next = 0;
    Bytes bytes;
  };

  // False: the log does not go on to this page. Else page_ is it.
  Result<bool> open(std::uint64_t address) {
    if (page_.bytes != nullptr && page_.address == address) return true;
    page_.bytes = nullptr;
    FS_TRY(bytes, pages_.page(address));
    const auto in_segment = address % scan_.segment_bytes;
    if (bytes == nullptr) {
      if (in_segment != 0) return doubt(address, "no file, in the middle of one,");
      return false;
    }
    const auto magic = load<std::uint16_t>(bytes);
    const auto info = load<std::uint16_t>(bytes + 2);
    const auto timeline = load<std::uint32_t>(bytes + 4);
    const auto says = load<std::uint64_t>(bytes + 8);
    if (magic == 0) {
      if (!zeroes({bytes, kWalPage})) return doubt(address, "a page without a header");
      return false;
    }
    if (magic != scan_.magic) return doubt(address, fmt::format("page magic {:04X}", magic));
    // Unknown flags, and the one that says that a restart wrote over half a record, are for the tool.
    if ((info & ~(kContinues | kIsLong | kRemovable)) != 0)
      return doubt(address, fmt::format("page flags {:04X}", info));
    if (((info & kIsLong) != 0) != (in_segment == 0)) return doubt(address, "a header of the wrong kind");
    // Files are used again under a later name; such a page lies where it did, and says an earlier address.
    if (says < address && (address - says) % scan_.segment_bytes == 0) return false;
    if (says != address) return doubt(address, fmt::format("a page of {}", Lsn{says}.text()));
    if (timeline < timeline_ || timeline > scan_.timeline || timeline == 0)
      return doubt(address, fmt::format("timeline {} after {}", timeline, timeline_));
    if (in_segment == 0) {
      const auto system = load<std::uint64_t>(bytes + 24);
      if (load<std::uint32_t>(bytes + 32) != scan_.segment_bytes || load<std::uint32_t>(bytes + 36) != kWalPage ||
          (system_ && system != *system_))
        return doubt(address, "a segment of another cluster");
      system_ = system;
    }
    timeline_ = timeline;
    page_ = {address, in_segment == 0 ? kLongHeader : kShortHeader, (info & kContinues) != 0,
             load<std::uint32_t>(bytes + 16), bytes};
    return true;
  }

  // Where the first record begins that can be read on the way to `start`: behind what a page before it left over.
  Result<std::uint64_t> first_record_of_page() {
    auto address = scan_.start.value - scan_.start.value % kWalPage;
    // The segment's first page says what the others do not: system, segment size, page size.
    if (const auto segment = address - address % scan_.segment_bytes; segment != address) {
      FS_TRY(identified, open(segment));
      if (!identified) return doubt(segment, "no segment");
    }
    for (;; address += kWalPage) {
      FS_TRY(there, open(address));
      if (!there) return doubt(address, "the log ends before it begins,");
      if (!page_.continues) return address + page_.header;
      const auto left_over = aligned(page_.remaining);
      if (left_over < kWalPage - page_.header) return address + page_.header + left_over;
      if (address > scan_.start.value + kRecordMax) return doubt(address, "a record without an end");
    }
  }

  // Nothing: the log ends here.
  Result<std::optional<Record>> read(std::uint64_t at) {
    constexpr std::optional<Record> kEnd;
    FS_TRY(there, open(at - at % kWalPage));
    if (!there) return kEnd;
    if (at % kWalPage == 0) at += page_.header;
    const auto offset = at % kWalPage;
    if (offset < page_.header) return doubt(at, "a record inside a page header");
    if (page_.continues && offset == page_.header) return doubt(at, "the rest of a record where one should begin,");
    const Bytes rest(page_.bytes + offset, kWalPage - offset);
    const auto length = load<std::uint32_t>(rest.data());
    if (length == 0) {
      if (!zeroes(rest)) return doubt(at, "no record, and more than zeroes,");
      return kEnd;
    }
    if (length < kRecordHeader || length > kRecordMax) return doubt(at, fmt::format("a record of {} bytes", length));
    Record record{
        .at = at, .next = at + aligned(length), .bytes = rest.first(std::min<std::size_t>(length, rest.size()))};
    if (length > rest.size()) {
      FS_TRY(whole, gather(record, length));
      if (!whole) return kEnd;
    }
    FS_CHECK(verify(record));
    const auto* header = record.bytes.data();
    if (header[17] == kManagerXlog && (header[16] & 0xF0) == kXlogSwitch)
      record.next = (record.next + scan_.segment_bytes - 1) / scan_.segment_bytes * scan_.segment_bytes;
    if (record.next <= at) return doubt(at, "the end of all addresses");
    previous_ = at;
    return record;
  }

  // Puts a record together that goes on over pages. False: the log ends before the record does.
  Result<bool> gather(Record& record, std::uint32_t length) {
    whole_.assign(record.bytes.begin(), record.bytes.end());
    for (auto address = record.at - record.at % kWalPage + kWalPage; whole_.size() < length; address += kWalPage) {
      FS_TRY(there, open(address));
      if (!there) return false;
      if (!page_.continues || page_.remaining != length - whole_.size())
        return doubt(address, "a page that does not go on with its record,");
      const auto here = std::min<std::uint64_t>(page_.remaining, kWalPage - page_.header);
      const auto* from = page_.bytes + page_.header;
      whole_.insert(whole_.end(), from, from + here);
      record.next = address + page_.header + aligned(page_.remaining);
    }
    record.bytes = whole_;
    return true;
  }

  Result<void> verify(const Record& record) const {
    const auto* header = record.bytes.data();
    const auto previous = load<std::uint64_t>(header + 8);
    const auto manager = header[17];
    if (manager > kManagerMessage && manager < kManagerCustom)
      return doubt(record.at, fmt::format("resource manager {}", manager));
    // Of the first record read only this much is known.
    if (previous_ ? previous != *previous_ : previous >= record.at)
      return doubt(record.at, fmt::format("a record that follows {}", Lsn{previous}.text()));
    const std::string_view bytes(reinterpret_cast<const char*>(header), record.bytes.size());
    const auto checksum = crc32c(bytes.substr(0, kChecksumAt), crc32c(bytes.substr(kRecordHeader)));
    if (checksum != load<std::uint32_t>(header + kChecksumAt)) return doubt(record.at, "a checksum that does not fit,");
    return {};
  }

  Result<void> tell(const Record& record) {
    FS_CHECK(tally_.record(Lsn{record.at}));
    const auto* header = record.bytes.data();
    const auto transaction = load<std::uint32_t>(header + 4);
    const auto info = header[16];
    if (header[17] == kManagerMessage) {
      const auto data = main_data(record.bytes);
      const auto ours = data ? message_of_ours(*data) : std::nullopt;
      if (!ours) return doubt(record.at, "a message of unknown form");
      if (*ours) tally_.marker(transaction);
    } else if (header[17] == kManagerTransaction) {
      const auto kind = info & 0x70;
      if (kind != kCommit && kind != kPrepare && kind != kCommitPrepared) return {};
      // xl_xact_prepare has its time behind magic, length, transaction and database.
      const std::size_t time_at = kind == kPrepare ? 16 : 0;
      const auto data = main_data(record.bytes);
      if (!data || data->size() < time_at + 8) return doubt(record.at, "a commit of unknown form");
      const char* name = kind == kCommit ? "COMMIT" : kind == kPrepare ? "PREPARE" : "COMMIT_PREPARED";
      tally_.commit(transaction, fmt::format("{} of transaction {}, {}", name, transaction,
                                             time_text(load<std::int64_t>(data->data() + time_at))));
    }
    return {};
  }

  WalPages& pages_;
  const WalScan scan_;
  WalTally tally_;
  Page page_;
  std::uint32_t timeline_ = 0;  // of the page before
  std::optional<std::uint64_t> system_;
  std::optional<std::uint64_t> previous_;
  std::vector<std::uint8_t> whole_;
};

}  // namespace

std::optional<std::uint16_t> wal_page_magic(int major_version) {
  switch (major_version) {
    case 15:
      return 0xD110;
    case 16:
      return 0xD113;
    case 17:
      return 0xD116;
    case 18:
      return 0xD118;
    default:
      return std::nullopt;
  }
}

Result<WalTail> scan_wal(WalPages& pages, const WalScan& scan) { return Scan(pages, scan).run(); }

}  // namespace foreshadow::kinds::postgres
