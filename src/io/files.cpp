#include "io/files.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <atomic>
#include <cerrno>
#include <utility>

#include "io/fd.hpp"
#include "io/wait.hpp"

namespace foreshadow::io {
namespace {

std::string parent_of(const std::string& path) {
  const auto slash = path.find_last_of('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

Result<void> sync_directory(const std::string& path) {
  Fd dir(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!dir) return fail(Code::io, errno_text("open directory " + path));
  if (::fsync(dir.get()) != 0) return fail(Code::io, errno_text("fsync directory " + path));
  return {};
}

Result<void> write_all(int fd, std::string_view content, const std::string& path) {
  while (!content.empty()) {
    const auto n = ::write(fd, content.data(), content.size());
    if (n < 0) {
      if (errno == EINTR) continue;
      return fail(Code::io, errno_text("write " + path));
    }
    content.remove_prefix(static_cast<std::size_t>(n));
  }
  return {};
}

Result<void> write_synced(const std::string& path, std::string_view content, unsigned mode) {
  Fd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode));
  if (!file) return fail(Code::io, errno_text("create " + path));
  FS_CHECK(write_all(file.get(), content, path));
  if (::fchmod(file.get(), mode) != 0) return fail(Code::io, errno_text("chmod " + path));  // past the umask
  if (::fsync(file.get()) != 0) return fail(Code::io, errno_text("fsync " + path));
  return {};
}

}  // namespace

Result<std::string> read_file(const std::string& path, std::size_t bytes_max) {
  // Not blocking, so that a FIFO put in the file's place cannot hang us before we see what it is.
  Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file) {
    if (errno == ENOENT || errno == ENOTDIR) return fail(Code::unreachable, errno_text(path));
    return fail(Code::io, errno_text(path));
  }
  struct stat st{};
  if (::fstat(file.get(), &st) != 0) return fail(Code::io, errno_text(path));
  if (!S_ISREG(st.st_mode)) return fail(Code::invalid, path + ": not a regular file");
  std::string content;
  char buffer[16384];
  for (;;) {  // to the end, not to st_size: files of procfs say 0
    const auto n = ::read(file.get(), buffer, sizeof buffer);
    if (n == 0) return content;
    if (n < 0) {
      if (errno == EINTR) continue;
      return fail(Code::io, errno_text("read " + path));
    }
    if (content.size() + static_cast<std::size_t>(n) > bytes_max)
      return fail(Code::invalid, path + ": larger than the " + std::to_string(bytes_max) + " bytes allowed here");
    content.append(buffer, static_cast<std::size_t>(n));
  }
}

Result<void> write_file_durably(const std::string& path, std::string_view content, unsigned mode) {
  // Unique, so that two writers can never rename each other's half-written file into place.
  static std::atomic<unsigned> counter{0};
  const std::string temporary = path + ".tmp." + std::to_string(::getpid()) + "." + std::to_string(counter++);
  auto written = write_synced(temporary, content, mode);
  if (written && ::rename(temporary.c_str(), path.c_str()) != 0)
    written = fail(Code::io, errno_text("rename to " + path));
  if (!written) {
    ::unlink(temporary.c_str());
    return written;
  }
  return sync_directory(parent_of(path));
}

Result<void> make_directory(const std::string& path, unsigned mode) {
  if (path.empty()) return fail(Code::invalid, "the path of a directory may not be empty");
  struct stat st{};
  if (::stat(path.c_str(), &st) == 0) {
    if (S_ISDIR(st.st_mode)) return {};
    return fail(Code::invalid, path + ": exists and is not a directory");
  }
  if (const auto parent = parent_of(path); parent != path) FS_CHECK(make_directory(parent, mode));
  if (::mkdir(path.c_str(), mode) != 0) {
    if (errno == EEXIST) return {};  // somebody made it at the same moment, or the path ended in '/'
    return fail(Code::io, errno_text("mkdir " + path));
  }
  return sync_directory(parent_of(path));
}

Result<FileLock> FileLock::take(const std::string& path) {
  Fd file(::open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file) return fail(Code::io, errno_text("open lock file " + path));
  if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return fail(Code::io, errno_text("flock " + path));
    char holder[32] = {};
    const auto n = ::pread(file.get(), holder, sizeof holder - 1, 0);
    std::string who(holder, n > 0 ? static_cast<std::size_t>(n) : 0);
    while (!who.empty() && who.back() == '\n') who.pop_back();
    return fail(Code::conflict, path + ": held by " + (who.empty() ? "another process" : "process " + who));
  }
  // For people only; the lock is the flock. The file stays: unlinking it would let two holders lock two files.
  const std::string pid = std::to_string(::getpid()) + "\n";
  if (::ftruncate(file.get(), 0) == 0) {
    [[maybe_unused]] const auto written = ::pwrite(file.get(), pid.data(), pid.size(), 0);
  }
  return FileLock(file.release());
}

FileLock::FileLock(FileLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
FileLock& FileLock::operator=(FileLock&& other) noexcept {
  if (this != &other) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = std::exchange(other.fd_, -1);
  }
  return *this;
}
FileLock::~FileLock() {
  if (fd_ >= 0) ::close(fd_);
}

}  // namespace foreshadow::io
