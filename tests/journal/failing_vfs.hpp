// A SQLite VFS over the default one that makes a disk fail: the real journal takes its real error paths.
#pragma once

#include <atomic>

namespace foreshadow::journal {

struct DiskFaults {
  // Counts down on each call; at zero the call fails, and so does every later one until it is set to -1 (never).
  std::atomic<int> syncs_left{-1};
  std::atomic<int> writes_left{-1};  // fails as a full disk does
  // Only the next failing sync fails; the one after it succeeds, as the kernel lets it.
  std::atomic<bool> sync_fails_once{false};
  std::atomic<int> syncs{0};
};

// One per process; faults are shared by all files opened through it.
DiskFaults& disk_faults();
// The name to open databases with. Registers it at first use.
const char* failing_vfs();

}  // namespace foreshadow::journal
