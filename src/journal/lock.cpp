#include "journal/lock.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <system_error>
#include <utility>

namespace foreshadow::journal {
namespace {

std::string because(const std::string& path) { return path + ": " + std::generic_category().message(errno); }

struct Content {
  unsigned long long term = 0;
  int pid = 0;
};
Content read_content(int fd) {
  char text[128] = {};
  Content content;
  if (::pread(fd, text, sizeof text - 1, 0) > 0) {
    // What is not ours reads as nothing; the journal itself has the term too.
    if (std::sscanf(text, "term %llu pid %d", &content.term, &content.pid) < 1) return {};
  }
  return content;
}

}  // namespace

Result<Lock> Lock::take(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0) return fail(Code::io, because(path));
  Lock lock(fd, path, 0);
  if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return fail(Code::io, because(path));
    const int pid = read_content(fd).pid;
    return fail(Code::conflict, "another controller" +
                                    (pid > 0 ? " (process " + std::to_string(pid) + ")" : std::string()) +
                                    " holds this journal (" + path + "); stop it first, or use another state_dir");
  }
  lock.term_ = read_content(fd).term;
  return lock;
}

Result<void> Lock::begin_term(std::uint64_t term) {
  const std::string text = "term " + std::to_string(term) + " pid " + std::to_string(::getpid()) + "\n";
  // Over the old text, then cut: a crash between leaves a longer line, whose beginning is what counts.
  if (::pwrite(fd_, text.data(), text.size(), 0) != static_cast<ssize_t>(text.size()) ||
      ::ftruncate(fd_, static_cast<off_t>(text.size())) != 0 || ::fsync(fd_) != 0)
    return fail(Code::io, because(path_));
  term_ = term;
  return {};
}

Lock::Lock(Lock&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), path_(std::move(other.path_)), term_(other.term_) {}
Lock& Lock::operator=(Lock&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(path_, other.path_);
  std::swap(term_, other.term_);
  return *this;
}
Lock::~Lock() {
  if (fd_ >= 0) ::close(fd_);
}

}  // namespace foreshadow::journal
