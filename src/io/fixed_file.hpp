// A file that is made whole and then overwritten in place. Its name, its size and its blocks stay as they are, so what
// is written is on disk after one fdatasync(2); replacing a file (write_file_durably) costs an fsync of the new one,
// another of the directory, and the file system's own log behind each.
//
// Never reads, and knows nothing of what it holds. In exchange for the speed a write may be cut anywhere by a crash:
// what is written must show by itself whether it is whole, and must not lie over the only copy of anything.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "io/fd.hpp"

namespace foreshadow::io {

// Not thread-safe. Kept open, so that an error of the disk between two writes is told to the second.
class FixedFile {
 public:
  // Makes it anew in place of whatever has this name, and keeps to write_file_durably's promises. Its bytes are
  // written, zeros too: blocks that are only reserved would cost the file system's log at their first use.
  static Result<FixedFile> make(const std::string& path, std::string_view content, unsigned mode = 0600);

  // On disk when it returns. Errors: invalid (not inside the file), io. After an error nobody knows what the disk has,
  // and a later fdatasync(2) may succeed over pages that the kernel has dropped: make the file anew.
  Result<void> write(std::uint64_t offset, std::string_view bytes);
  // The same without the wait: it reaches the disk with the next write, or when the kernel sees fit.
  Result<void> write_behind(std::uint64_t offset, std::string_view bytes);
  // False: its name was taken away or given to another file, so what is written here would not be found again.
  bool still_there() const;
  std::uint64_t size() const { return size_; }

 private:
  FixedFile(Fd fd, std::string path, std::uint64_t size) : fd_(std::move(fd)), path_(std::move(path)), size_(size) {}
  Fd fd_;
  std::string path_;
  std::uint64_t size_ = 0;
  dev_t device_ = 0;
  ino_t inode_ = 0;
};

}  // namespace foreshadow::io
