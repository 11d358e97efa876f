// Our own reader of the write-ahead log. Bytes as they come, and logs that were sound before the fuzzer broke some of
// their bytes: whatever is told then must be the truth up to some record.
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "kinds/postgres/wal_log.hpp"
#include "kinds/postgres/wal_reader.hpp"

namespace {

using foreshadow::kinds::postgres::Lsn;
using foreshadow::kinds::postgres::scan_wal;
using foreshadow::testing::WalLog;

class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size) : data_(data), left_(size) {}
  bool empty() const { return left_ == 0; }
  std::uint8_t byte() {
    if (left_ == 0) return 0;
    --left_;
    return *data_++;
  }
  std::size_t number() { return byte() | static_cast<std::size_t>(byte()) << 8; }
  const std::uint8_t* rest() const { return data_; }
  std::size_t left() const { return left_; }

 private:
  const std::uint8_t* data_;
  std::size_t left_;
};

// The input as the first bytes of a segment behind a sound page header, so that reading gets to them.
void raw(Input in) {
  WalLog log;
  log.add_filler(in.byte());
  const auto start = Lsn{log.base + in.number() % (2 * WalLog::kPage)};
  const bool headers = in.byte() % 2 == 0;
  std::copy_n(in.rest(), std::min<std::size_t>(in.left(), 8 * WalLog::kPage), log.at(log.end));
  if (headers) {  // kept sound, as most damage leaves them
    const auto end = log.end;
    log.end = log.base + WalLog::kPage;
    log.add_filler(0);
    log.end = end;
  }
  const auto tail = scan_wal(log, log.scan(start));
  if (tail && (tail->records == 0 || tail->commits.size() > tail->records || tail->last < start)) __builtin_trap();
}

void broken(Input in) {
  WalLog log;
  for (int n = in.byte() % 32; n > 0 && !in.empty(); --n) {
    const auto kind = in.byte();
    if (kind % 4 == 0)
      log.add_commit(kind, static_cast<std::uint8_t>(in.byte() & 0xF0));
    else if (kind % 4 == 1)
      log.add_message(kind, kind % 8 == 1 ? "foreshadow" : "other", "text");
    else if (kind % 32 == 2)
      log.add({.manager = 0, .info = 0x40});
    else
      log.add_filler(in.number() % 40'000);
  }
  if (log.starts.empty()) return;
  if (log.bytes.size() > (8U << 20)) return;
  const auto truth = log.starts;
  const Lsn start{truth.front()};
  const auto whole = scan_wal(log, log.scan(start));
  if (!whole || whole->records != truth.size() || whole->last.value != truth.back()) __builtin_trap();
  for (int n = in.byte() % 8; n > 0 && !in.empty(); --n) {
    const auto at = (in.number() | in.number() << 16) % (log.end - log.base);
    switch (in.byte() % 3) {
      case 0:
        log.bytes[at] ^= static_cast<std::uint8_t>(in.byte() | 1);
        break;
      case 1:
        std::fill(log.bytes.begin() + static_cast<std::ptrdiff_t>(at), log.bytes.end(), std::uint8_t{0});
        break;
      default:  // an older page in the place of a newer
        std::copy_n(log.bytes.begin(), WalLog::kPage,
                    log.bytes.begin() + static_cast<std::ptrdiff_t>(at / WalLog::kPage * WalLog::kPage));
    }
  }
  const auto tail = scan_wal(log, log.scan(start));
  if (tail && (tail->records > truth.size() || tail->last.value != truth[tail->records - 1])) __builtin_trap();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input in(data, size);
  if (in.byte() % 2 == 0)
    raw(in);
  else
    broken(in);
  return 0;
}
