#include "kinds/postgres/rescue.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "base/units.hpp"
#include "io/fd.hpp"
#include "io/wait.hpp"

namespace foreshadow::kinds::postgres {
namespace {

constexpr std::size_t kChunk = 1 << 20;
// The server removes files of this name when it starts (RemoveTempXlogFiles, src/backend/access/transam/xlog.c).
constexpr const char* kTemporary = "/pg_wal/xlogtemp.foreshadow";

std::string path_of(const DataDir& dir, const LogPlace& place, std::uint64_t number) {
  return dir.path() + "/pg_wal/" + segment_name(place, number);
}

// Of a segment that must be there whole.
Result<io::Fd> open_segment(const DataDir& dir, const LogPlace& place, std::uint64_t number) {
  const auto path = path_of(dir, place, number);
  io::Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return fail(Code::corrupt, io::errno_text(path));
  struct stat info{};
  if (::fstat(file.get(), &info) != 0) return fail(Code::corrupt, io::errno_text(path));
  if (!S_ISREG(info.st_mode) || static_cast<std::uint64_t>(info.st_size) != place.segment_bytes)
    return fail(Code::corrupt,
                fmt::format("{} has {} bytes, a segment has {}", path, info.st_size, place.segment_bytes));
  return file;
}

Result<void> read_at(const io::Fd& file, std::vector<char>& out, std::uint64_t at, std::size_t n) {
  out.resize(n);
  for (std::size_t done = 0; done < n;) {
    const auto got = ::pread(file.get(), out.data() + done, n - done, static_cast<off_t>(at + done));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return fail(Code::corrupt, io::errno_text("read a log segment"));
    done += static_cast<std::size_t>(got);
  }
  return {};
}

Result<void> same_until(const DataDir& from, const DataDir& to, const LogPlace& place, Lsn have) {
  if (have.value == 0) return {};
  const auto number = (have.value - 1) / place.segment_bytes;
  const auto length = have.value - number * place.segment_bytes;
  FS_TRY(theirs, open_segment(from, place, number));
  FS_TRY(ours, open_segment(to, place, number));
  std::vector<char> a, b;
  for (std::uint64_t at = 0; at < length; at += kChunk) {
    const auto n = static_cast<std::size_t>(std::min<std::uint64_t>(kChunk, length - at));
    FS_CHECK(read_at(theirs, a, at, n));
    FS_CHECK(read_at(ours, b, at, n));
    if (a != b)
      return fail(Code::corrupt,
                  fmt::format("the logs of {} and {} differ before {}: one is no continuation of the other",
                              from.path(), to.path(), have.text()));
  }
  return {};
}

Result<void> write_all(const io::Fd& file, const std::vector<char>& bytes) {
  for (std::size_t done = 0; done < bytes.size();) {
    const auto n = ::write(file.get(), bytes.data() + done, bytes.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail(Code::io, io::errno_text("write a log segment"));
    done += static_cast<std::size_t>(n);
  }
  return {};
}

// Whole and synced before it has its name.
Result<void> copy_segment(const DataDir& from, const DataDir& to, const LogPlace& place, std::uint64_t number) {
  FS_TRY(source, open_segment(from, place, number));
  const auto temporary = to.path() + kTemporary;
  ::unlink(temporary.c_str());
  const io::Fd out(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!out) return fail(Code::io, io::errno_text(temporary));
  const auto written = [&]() -> Result<void> {
    std::vector<char> chunk;
    for (std::uint64_t at = 0; at < place.segment_bytes; at += kChunk) {
      FS_CHECK(read_at(source, chunk, at,
                       static_cast<std::size_t>(std::min<std::uint64_t>(kChunk, place.segment_bytes - at))));
      FS_CHECK(write_all(out, chunk));
    }
    if (::geteuid() == 0 && ::fchown(out.get(), to.uid(), to.gid()) != 0)
      return fail(Code::io, io::errno_text(temporary));
    if (::fsync(out.get()) != 0) return fail(Code::io, io::errno_text(temporary));
    if (::rename(temporary.c_str(), path_of(to, place, number).c_str()) != 0)
      return fail(Code::io, io::errno_text(temporary));
    return {};
  }();
  if (!written) ::unlink(temporary.c_str());
  return written;
}

}  // namespace

Result<Rescued> rescue_log(const DataDir& from, const DataDir& to, const Rescue& what, std::stop_token stop) {
  FS_CHECK(same_until(from, to, what.place, what.have));
  const auto first = what.have.value / what.place.segment_bytes;
  // A record may reach into the segment after the one it begins in; its page is then there.
  auto last = what.last.value / what.place.segment_bytes;
  if (holds_page(from, what.place, Lsn{(last + 1) * what.place.segment_bytes})) ++last;
  for (auto number = first; number <= last; ++number) {
    FS_TRY(there, open_segment(from, what.place, number));
    static_cast<void>(there);
  }
  FS_TRY(volume, volume_of(to.path() + "/pg_wal"));
  const auto room = (last - first + 2) * what.place.segment_bytes;
  if (volume.available_bytes < room)
    return fail(Code::io, fmt::format("the volume of {} has {}, and {} of log are to be brought over", to.path(),
                                      format_bytes(static_cast<double>(volume.available_bytes)),
                                      format_bytes(static_cast<double>(room))));
  // Latest first: who has the earliest has all.
  for (auto number = last + 1; number-- > first;) {
    if (stop.stop_requested()) return fail(Code::cancelled, "told to stop while log was brought over");
    FS_CHECK(copy_segment(from, to, what.place, number));
  }
  const io::Fd directory(::open((to.path() + "/pg_wal").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory || ::fsync(directory.get()) != 0) return fail(Code::io, io::errno_text(to.path() + "/pg_wal"));
  return Rescued{last - first + 1};
}

}  // namespace foreshadow::kinds::postgres
