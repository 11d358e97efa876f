#include "kinds/postgres/wal_files.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <string>
#include <vector>

#include "io/fd.hpp"
#include "io/wait.hpp"
#include "kinds/postgres/wal_reader.hpp"

namespace foreshadow::kinds::postgres {
namespace {

class WalFiles final : public WalPages {
 public:
  WalFiles(std::string directory, std::uint32_t timeline, std::uint64_t segment_bytes)
      : directory_(std::move(directory)), timeline_(timeline), segment_bytes_(segment_bytes), buffer_(kAhead) {}

  Result<const std::uint8_t*> page(std::uint64_t address) override {
    const auto segment = address - address % segment_bytes_;
    if (!file_ || segment != segment_) {
      FS_TRY(there, open(segment));
      if (!there) return nullptr;
    }
    if (address < buffered_at_ || address + kWalPage > buffered_at_ + buffered_) FS_CHECK(fill(address - segment));
    return buffer_.data() + (address - buffered_at_);
  }

 private:
  // One look into the past and the pages that follow; more is read as it is asked for.
  static constexpr std::size_t kAhead = 16 * kWalPage;

  Result<bool> open(std::uint64_t segment) {
    file_.reset();
    buffered_ = 0;
    const auto path = directory_ + "/" + wal_file_name(timeline_, segment, segment_bytes_);
    file_ = io::Fd(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
    if (!file_) {
      if (errno == ENOENT) return false;
      return fail(Code::io, io::errno_text(path));
    }
    struct stat st{};
    if (::fstat(file_.get(), &st) != 0) return fail(Code::io, io::errno_text(path));
    if (static_cast<std::uint64_t>(st.st_size) != segment_bytes_) {
      file_.reset();
      return fail(Code::corrupt, fmt::format("{} has {} bytes, not {}", path, st.st_size, segment_bytes_));
    }
    segment_ = segment;
    return true;
  }

  Result<void> fill(std::uint64_t offset) {
    buffered_ = 0;
    std::size_t got = 0;
    while (got < kWalPage) {
      const auto n = ::pread(file_.get(), buffer_.data() + got, buffer_.size() - got, static_cast<off_t>(offset + got));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return fail(Code::io, io::errno_text("read " + wal_file_name(timeline_, segment_, segment_bytes_)));
      if (n == 0) return fail(Code::corrupt, wal_file_name(timeline_, segment_, segment_bytes_) + " became shorter");
      got += static_cast<std::size_t>(n);
    }
    buffered_at_ = segment_ + offset;
    buffered_ = got - got % kWalPage;
    return {};
  }

  const std::string directory_;
  const std::uint32_t timeline_;
  const std::uint64_t segment_bytes_;
  io::Fd file_;
  std::uint64_t segment_ = 0;
  std::vector<std::uint8_t> buffer_;
  std::uint64_t buffered_at_ = 0;
  std::size_t buffered_ = 0;
};

}  // namespace

std::string wal_file_name(std::uint32_t timeline, std::uint64_t address, std::uint64_t segment_bytes) {
  const auto number = address / segment_bytes;
  const auto per_log = (std::uint64_t{1} << 32) / segment_bytes;
  return fmt::format("{:08X}{:08X}{:08X}", timeline, number / per_log, number % per_log);
}

std::optional<std::uint64_t> wal_segment_bytes(const DataDir& dir) {
  std::error_code error;
  for (std::filesystem::directory_iterator it(dir.path() + "/pg_wal", error), end; !error && it != end;
       it.increment(error)) {
    std::error_code gone;
    const auto name = it->path().filename().string();
    if (name.size() != 24 || name.find_first_not_of("0123456789ABCDEF") != std::string::npos) continue;
    if (const auto size = it->file_size(gone); !gone && size > 0) return size;
  }
  return std::nullopt;
}

Result<WalTail> scan_wal_files(const DataDir& dir, std::uint32_t timeline, Lsn start, Lsn from) {
  FS_TRY(version, dir.major_version());
  const auto magic = wal_page_magic(version);
  if (!magic) return fail(Code::corrupt, fmt::format("the log of PostgreSQL {} is not known to us", version));
  const auto segment_bytes = wal_segment_bytes(dir);
  if (!segment_bytes) return fail(Code::corrupt, "no WAL file in " + dir.path());
  WalFiles files(dir.path() + "/pg_wal", timeline, *segment_bytes);
  return scan_wal(files, {*magic, timeline, *segment_bytes, start, from});
}

}  // namespace foreshadow::kinds::postgres
