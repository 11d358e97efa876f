// A write-ahead log made by hand: records laid onto pages the way a server lays them, links and checksums and all, so
// that a test knows every byte and may break any of them. Header only: the fuzzer uses it too.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

#include "base/crc32c.hpp"
#include "kinds/postgres/wal_reader.hpp"

namespace foreshadow::testing {

struct MadeRecord {
  std::uint8_t manager = 10;  // Heap
  std::uint8_t info = 0;
  std::uint32_t transaction = 0;
  std::vector<std::uint8_t> body;  // all behind the header
};

class WalLog final : public kinds::postgres::WalPages {
 public:
  static constexpr std::uint64_t kPage = kinds::postgres::kWalPage;

  explicit WalLog(std::uint64_t base = 3 << 20, std::uint64_t segment_bytes = 1 << 20)
      : base(base), segment_bytes(segment_bytes), end(base) {}

  // Where it begins.
  kinds::postgres::Lsn add(const MadeRecord& made) {
    if (end % kPage == 0) open_page(0);
    const auto start = end;
    std::vector<std::uint8_t> record(24);
    record.insert(record.end(), made.body.begin(), made.body.end());
    put<std::uint32_t>(record.data(), static_cast<std::uint32_t>(record.size()));
    put<std::uint32_t>(record.data() + 4, made.transaction);
    put<std::uint64_t>(record.data() + 8, previous);
    record[16] = made.info;
    record[17] = made.manager;
    put<std::uint32_t>(record.data() + 20, checksum(record));
    for (std::size_t done = 0; done < record.size();) {
      if (end % kPage == 0) open_page(static_cast<std::uint32_t>(record.size() - done));
      const auto here = std::min<std::size_t>(record.size() - done, kPage - end % kPage);
      std::memcpy(at(end), record.data() + done, here);
      done += here;
      end += here;
    }
    end = (end + 7) / 8 * 8;
    previous = start;
    starts.push_back(start);
    if (made.manager == 0 && (made.info & 0xF0) == 0x40)
      end = (end + segment_bytes - 1) / segment_bytes * segment_bytes;
    return {start};
  }
  kinds::postgres::Lsn add_filler(std::size_t bytes) {
    MadeRecord made;
    made.body.assign(bytes, 0xAB);
    return add(made);
  }
  // One record up to the end of the page, if one was begun.
  void fill_page() {
    if (end % kPage != 0) add_filler(kPage - end % kPage - 24);
  }
  kinds::postgres::Lsn add_commit(std::uint32_t transaction, std::uint8_t info = 0) {
    MadeRecord made{.manager = 1, .info = info, .transaction = transaction};
    made.body = {255, 24};
    made.body.resize(2 + 24, 0);
    return add(made);
  }
  kinds::postgres::Lsn add_message(std::uint32_t transaction, std::string_view prefix, std::string_view text) {
    MadeRecord made{.manager = 21, .transaction = transaction};
    std::vector<std::uint8_t> data(24);
    data[4] = 1;
    put<std::uint64_t>(data.data() + 8, prefix.size() + 1);
    put<std::uint64_t>(data.data() + 16, text.size());
    data.insert(data.end(), prefix.begin(), prefix.end());
    data.push_back(0);
    data.insert(data.end(), text.begin(), text.end());
    made.body = {254, 0, 0, 0, 0};
    put<std::uint32_t>(made.body.data() + 1, static_cast<std::uint32_t>(data.size()));
    made.body.insert(made.body.end(), data.begin(), data.end());
    return add(made);
  }
  // The next page as a file used again shows it: of an earlier address, full of old records.
  void recycle_rest() {
    for (auto page = (end + kPage - 1) / kPage * kPage; page % segment_bytes != 0; page += kPage) {
      write_header(page, 0, page - 2 * segment_bytes);
      std::memset(at(page) + 40, 0x5A, kPage - 40);
    }
  }
  // Makes the record at this place pass for sound again after its bytes were changed; only within one page.
  void mend(kinds::postgres::Lsn record) {
    const auto size = get<std::uint32_t>(at(record.value));
    const std::vector<std::uint8_t> bytes(at(record.value), at(record.value) + size);
    put<std::uint32_t>(at(record.value) + 20, checksum(bytes));
  }

  kinds::postgres::WalScan scan(kinds::postgres::Lsn start, kinds::postgres::Lsn from = {}) const {
    return {.magic = magic, .timeline = timeline, .segment_bytes = segment_bytes, .start = start, .from = from};
  }

  Result<const std::uint8_t*> page(std::uint64_t address) override {
    if (address < base || address + kPage > base + bytes.size()) return nullptr;
    return at(address);
  }
  std::uint8_t* at(std::uint64_t address) {
    while (address >= base + bytes.size()) bytes.resize(bytes.size() + segment_bytes);
    return bytes.data() + (address - base);
  }

  template <class T>
  static void put(std::uint8_t* to, T value) {
    std::memcpy(to, &value, sizeof value);
  }
  template <class T>
  static T get(const std::uint8_t* from) {
    T value;
    std::memcpy(&value, from, sizeof value);
    return value;
  }

  const std::uint64_t base;
  const std::uint64_t segment_bytes;
  std::uint64_t end;  // where the next record begins
  std::uint16_t magic = 0xD110;
  std::uint32_t timeline = 1;
  std::uint64_t system = 42;
  std::uint64_t previous = 0;
  std::vector<std::uint64_t> starts;
  std::vector<std::uint8_t> bytes;  // whole segments

 private:
  static std::uint32_t checksum(const std::vector<std::uint8_t>& record) {
    const std::string_view all(reinterpret_cast<const char*>(record.data()), record.size());
    return crc32c(all.substr(0, 20), crc32c(all.substr(24)));
  }
  void write_header(std::uint64_t address, std::uint32_t remaining, std::uint64_t says) {
    auto* to = at(address);
    const bool first = address % segment_bytes == 0;
    put<std::uint16_t>(to, magic);
    put<std::uint16_t>(to + 2, static_cast<std::uint16_t>((remaining > 0 ? 1 : 0) | (first ? 2 : 0)));
    put<std::uint32_t>(to + 4, timeline);
    put<std::uint64_t>(to + 8, says);
    put<std::uint32_t>(to + 16, remaining);
    if (!first) return;
    put<std::uint64_t>(to + 24, system);
    put<std::uint32_t>(to + 32, static_cast<std::uint32_t>(segment_bytes));
    put<std::uint32_t>(to + 36, static_cast<std::uint32_t>(kPage));
  }
  void open_page(std::uint32_t remaining) {
    write_header(end, remaining, end);
    end += end % segment_bytes == 0 ? 40 : 24;
  }
};

}  // namespace foreshadow::testing
