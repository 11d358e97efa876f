#include "journal/wal_check.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <system_error>
#include <vector>

namespace foreshadow::journal {
namespace {

constexpr std::size_t kHeaderSize = 32, kFrameHeaderSize = 24;
constexpr std::uint32_t kMagic = 0x377f0682;  // the lowest bit says big-endian checksums

using Bytes = std::vector<unsigned char>;

std::uint32_t big_endian(const unsigned char* p) {
  return std::uint32_t{p[0]} << 24 | std::uint32_t{p[1]} << 16 | std::uint32_t{p[2]} << 8 | std::uint32_t{p[3]};
}
std::uint32_t little_endian(const unsigned char* p) {
  return std::uint32_t{p[3]} << 24 | std::uint32_t{p[2]} << 16 | std::uint32_t{p[1]} << 8 | std::uint32_t{p[0]};
}

struct Sum {
  std::uint32_t a = 0, b = 0;
  void add(const unsigned char* p, std::size_t size, bool big) {
    const auto read = big ? big_endian : little_endian;
    for (std::size_t i = 0; i + 8 <= size; i += 8) {
      a += read(p + i) + b;
      b += read(p + i + 4) + a;
    }
  }
  bool is(const unsigned char* p) const { return a == big_endian(p) && b == big_endian(p + 4); }
};

bool page_size_ok(std::uint32_t size) { return size >= 512 && size <= 65536 && (size & (size - 1)) == 0; }

}  // namespace

Result<WalCheck> check_wal(const std::string& database_path) {
  const std::string path = database_path + "-wal";
  const auto close = [](std::FILE* file) { std::fclose(file); };
  std::unique_ptr<std::FILE, decltype(close)> file(std::fopen(path.c_str(), "rbe"));
  if (!file) {
    if (errno == ENOENT) return WalCheck{};
    return fail(Code::io, path + ": " + std::generic_category().message(errno));
  }
  Bytes header(kHeaderSize);
  if (std::fread(header.data(), 1, kHeaderSize, file.get()) < kHeaderSize) return WalCheck{};  // empty, or never begun
  const std::uint32_t magic = big_endian(&header[0]), page_size = big_endian(&header[8]);
  const bool big = magic & 1;
  Sum sum;
  sum.add(header.data(), 24, big);
  // The header is synced before the first frame, and fits one sector: it is never torn.
  if ((magic & ~1u) != kMagic || !page_size_ok(page_size) || !sum.is(&header[24])) {
    if (std::fgetc(file.get()) == EOF) return WalCheck{};
    return fail(Code::corrupt, path + ": damaged header");
  }
  Bytes frame(kFrameHeaderSize + page_size);
  bool intact = true, lost_commit = false, torn = false;
  std::size_t frames = 0, broken_at = 0, uncommitted = 0;
  for (;; ++frames) {
    const auto got = std::fread(frame.data(), 1, frame.size(), file.get());
    if (got < kFrameHeaderSize) break;
    // Frames with other salts were left by an earlier use of the file, and are in the database long since.
    const bool ours = std::equal(&frame[8], &frame[16], &header[16]);
    if (intact) {
      if (ours && got == frame.size()) {
        sum.add(frame.data(), 8, big);
        sum.add(&frame[kFrameHeaderSize], page_size, big);
      }
      if (ours && got == frame.size() && sum.is(&frame[16])) {
        uncommitted = big_endian(&frame[4]) != 0 ? 0 : uncommitted + 1;
        continue;
      }
      intact = false;
      broken_at = kHeaderSize + frames * frame.size();
      torn = ours;
    } else if (ours && lost_commit) {
      return fail(Code::corrupt, path + ": damaged at byte " + std::to_string(broken_at));
    }
    if (ours) torn = true;
    if (ours && big_endian(&frame[4]) != 0) lost_commit = true;
    if (got < frame.size()) break;
  }
  return WalCheck{torn || uncommitted > 0};
}

}  // namespace foreshadow::journal
