#include "failing_vfs.hpp"

#include <sqlite3.h>

#include <cstring>

namespace foreshadow::journal {
namespace {

// SQLite allocates szOsFile bytes for each file: ours in front, the default VFS's behind it.
struct File {
  sqlite3_file base;
  sqlite3_file* real() { return reinterpret_cast<sqlite3_file*>(this + 1); }
};

File* ours(sqlite3_file* file) { return reinterpret_cast<File*>(file); }
sqlite3_file* real(sqlite3_file* file) { return ours(file)->real(); }

bool fails(std::atomic<int>& left) {
  if (left < 0) return false;
  if (left > 0) {
    --left;
    return false;
  }
  return true;
}

int sync(sqlite3_file* file, int flags) {
  auto& faults = disk_faults();
  ++faults.syncs;
  if (fails(faults.syncs_left)) {
    if (faults.sync_fails_once) faults.syncs_left = -1;
    return SQLITE_IOERR_FSYNC;
  }
  return real(file)->pMethods->xSync(real(file), flags);
}

int write(sqlite3_file* file, const void* bytes, int size, sqlite3_int64 at) {
  if (fails(disk_faults().writes_left)) return SQLITE_FULL;
  return real(file)->pMethods->xWrite(real(file), bytes, size, at);
}

const sqlite3_io_methods kMethods = {
    2,
    [](sqlite3_file* f) { return real(f)->pMethods->xClose(real(f)); },
    [](sqlite3_file* f, void* to, int n, sqlite3_int64 at) { return real(f)->pMethods->xRead(real(f), to, n, at); },
    write,
    [](sqlite3_file* f, sqlite3_int64 size) { return real(f)->pMethods->xTruncate(real(f), size); },
    sync,
    [](sqlite3_file* f, sqlite3_int64* size) { return real(f)->pMethods->xFileSize(real(f), size); },
    [](sqlite3_file* f, int lock) { return real(f)->pMethods->xLock(real(f), lock); },
    [](sqlite3_file* f, int lock) { return real(f)->pMethods->xUnlock(real(f), lock); },
    [](sqlite3_file* f, int* out) { return real(f)->pMethods->xCheckReservedLock(real(f), out); },
    [](sqlite3_file* f, int op, void* arg) { return real(f)->pMethods->xFileControl(real(f), op, arg); },
    [](sqlite3_file* f) { return real(f)->pMethods->xSectorSize(real(f)); },
    [](sqlite3_file* f) { return real(f)->pMethods->xDeviceCharacteristics(real(f)); },
    [](sqlite3_file* f, int page, int size, int extend, void volatile** out) {
      return real(f)->pMethods->xShmMap(real(f), page, size, extend, out);
    },
    [](sqlite3_file* f, int offset, int n, int flags) {
      return real(f)->pMethods->xShmLock(real(f), offset, n, flags);
    },
    [](sqlite3_file* f) { real(f)->pMethods->xShmBarrier(real(f)); },
    [](sqlite3_file* f, int remove) { return real(f)->pMethods->xShmUnmap(real(f), remove); },
};

int open(sqlite3_vfs* vfs, const char* name, sqlite3_file* file, int flags, int* out_flags) {
  auto* under = static_cast<sqlite3_vfs*>(vfs->pAppData);
  ours(file)->base.pMethods = nullptr;
  const int result = under->xOpen(under, name, ours(file)->real(), flags, out_flags);
  if (result == SQLITE_OK) ours(file)->base.pMethods = &kMethods;
  return result;
}

}  // namespace

DiskFaults& disk_faults() {
  static DiskFaults faults;
  return faults;
}

const char* failing_vfs() {
  static sqlite3_vfs vfs = [] {
    sqlite3_vfs* under = sqlite3_vfs_find(nullptr);
    sqlite3_vfs copy = *under;
    copy.zName = "failing";
    copy.pAppData = under;
    copy.szOsFile = static_cast<int>(sizeof(File)) + under->szOsFile;
    copy.pNext = nullptr;
    copy.xOpen = open;
    return copy;
  }();
  static const int registered = sqlite3_vfs_register(&vfs, 0);
  (void)registered;
  return vfs.zName;
}

}  // namespace foreshadow::journal
