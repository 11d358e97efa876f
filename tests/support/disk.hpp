// The disk under a test: the fsync(2) and fdatasync(2) of its own process are counted here, made to fail when the test
// says so, and looked into, so that a test can see every state in which a power cut may leave a file. Linking this is
// what puts it between the program and the C library.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>

#include "base/random.hpp"

namespace foreshadow::testing {

struct Syncs {
  std::atomic<int> count{0};
  // While true each fails with EIO, and nothing is synced.
  std::atomic<bool> fail{false};
  // Called before each that does not fail, and after it, with its descriptor.
  std::function<void(int)> before, after;
};
Syncs& syncs();

// Fails every sync for as long as it lives.
struct FailingDisk {
  FailingDisk() { syncs().fail = true; }
  FailingDisk(const FailingDisk&) = delete;
  FailingDisk& operator=(const FailingDisk&) = delete;
  ~FailingDisk() { syncs().fail = false; }
};

// Plays a power cut before and after every sync while it lives, and whenever look() is called: of what was written
// since the last sync any sectors may have reached the disk and any not. Each state is given to `check` as the content
// of the file; all of them where they are few, else a sample. A file that was renamed into place is there whole or not
// at all.
class PowerCuts {
 public:
  PowerCuts(std::string path, std::function<void(const std::string& content)> check);
  PowerCuts(const PowerCuts&) = delete;
  PowerCuts& operator=(const PowerCuts&) = delete;
  ~PowerCuts();

  void look();
  int states() const { return states_; }

 private:
  struct File {
    std::uint64_t inode = 0;
    std::string content;
  };
  File now() const;
  void synced(int fd);
  void play(const std::string& content);

  const std::string path_;
  const std::function<void(const std::string&)> check_;
  File synced_;
  Random random_{7};
  int states_ = 0;
};

}  // namespace foreshadow::testing
