// Notices that a file has changed: by its modification time, size and inode, looked at every so often on a thread of
// its own. Looking instead of inotify: it works over network file systems, symbolic links that are swapped
// (Kubernetes), and directories that are replaced whole.
#pragma once

#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "base/time.hpp"

namespace foreshadow::io {

class FileWatch {
 public:
  // `changed` is called on the watch's thread after any file changed; while it answers false (not content with what it
  // found), again after every interval. It must not destroy the watch.
  FileWatch(std::vector<std::string> files, Millis interval, std::function<bool()> changed);
  // Waits for a call under way.
  ~FileWatch() = default;

 private:
  std::jthread thread_;
};

}  // namespace foreshadow::io
