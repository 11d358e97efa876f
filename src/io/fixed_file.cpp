#include "io/fixed_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <utility>

#include "io/files.hpp"
#include "io/wait.hpp"

namespace foreshadow::io {

Result<FixedFile> FixedFile::make(const std::string& path, std::string_view content, unsigned mode) {
  FS_CHECK(write_file_durably(path, content, mode));
  Fd fd(::open(path.c_str(), O_WRONLY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd) return fail(Code::io, errno_text("open " + path));
  struct stat st{};
  if (::fstat(fd.get(), &st) != 0) return fail(Code::io, errno_text(path));
  FixedFile file(std::move(fd), path, content.size());
  file.device_ = st.st_dev;
  file.inode_ = st.st_ino;
  return file;
}

Result<void> FixedFile::write_behind(std::uint64_t offset, std::string_view bytes) {
  if (offset > size_ || bytes.size() > size_ - offset)
    return fail(Code::invalid, path_ + ": a write past its end would change its size");
  while (!bytes.empty()) {
    const auto n = ::pwrite(fd_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (n < 0) {
      if (errno == EINTR) continue;
      return fail(Code::io, errno_text("write " + path_));
    }
    bytes.remove_prefix(static_cast<std::size_t>(n));
    offset += static_cast<std::uint64_t>(n);
  }
  return {};
}

Result<void> FixedFile::write(std::uint64_t offset, std::string_view bytes) {
  FS_CHECK(write_behind(offset, bytes));
  if (::fdatasync(fd_.get()) != 0) return fail(Code::io, errno_text("fdatasync " + path_));
  return {};
}

bool FixedFile::still_there() const {
  struct stat st{};
  return ::stat(path_.c_str(), &st) == 0 && st.st_dev == device_ && st.st_ino == inode_ &&
         static_cast<std::uint64_t>(st.st_size) == size_;
}

}  // namespace foreshadow::io
