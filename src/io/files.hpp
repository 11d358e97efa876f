// Files whose content must survive a crash, and small readers with a size bound.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace foreshadow::io {

// Reads at most `bytes_max`; a longer file is an error (invalid), a missing one is unreachable.
Result<std::string> read_file(const std::string& path, std::size_t bytes_max = 1 << 20);
// Write to a temporary beside it, fsync, rename, fsync the directory: after success the new content survives a power
// cut. After an error (io) the file holds the whole old content, or, where only the last fsync failed, perhaps the whole
// new one; never a mixture. mode as for open(2).
Result<void> write_file_durably(const std::string& path, std::string_view content, unsigned mode = 0600);
// With its parents; one that exists is left as it is.
Result<void> make_directory(const std::string& path, unsigned mode = 0700);

// An exclusive advisory lock on a file (flock), held for the object's life; released by the kernel when the process
// dies.
class FileLock {
 public:
  // conflict: somebody else holds it (their pid, if written there, is in the text).
  static Result<FileLock> take(const std::string& path);
  FileLock(FileLock&& other) noexcept;
  FileLock& operator=(FileLock&& other) noexcept;
  ~FileLock();

 private:
  explicit FileLock(int fd) : fd_(fd) {}
  int fd_ = -1;
};

}  // namespace foreshadow::io
