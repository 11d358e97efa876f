#include "support/disk.hpp"

#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <sstream>
#include <utility>
#include <vector>

namespace foreshadow::testing {
namespace {

constexpr std::size_t kSector = 512;
constexpr std::size_t kAllUpTo = 8;  // sectors: 256 states
constexpr int kSample = 256;

int sync_by(long call, int fd) {
  auto& s = syncs();
  ++s.count;
  if (s.fail) {
    errno = EIO;
    return -1;
  }
  if (s.before) s.before(fd);
  const int result = static_cast<int>(::syscall(call, fd));
  if (s.after) s.after(fd);
  return result;
}

}  // namespace

Syncs& syncs() {
  static Syncs instance;
  return instance;
}

PowerCuts::PowerCuts(std::string path, std::function<void(const std::string&)> check)
    : path_(std::move(path)), check_(std::move(check)), synced_(now()) {
  syncs().before = [this](int) { look(); };
  syncs().after = [this](int fd) { synced(fd); };
}

PowerCuts::~PowerCuts() {
  syncs().before = nullptr;
  syncs().after = nullptr;
}

PowerCuts::File PowerCuts::now() const {
  struct stat st{};
  File file;
  if (::stat(path_.c_str(), &st) != 0) return file;
  file.inode = st.st_ino;
  std::ostringstream text;
  text << std::ifstream(path_, std::ios::binary).rdbuf();
  file.content = text.str();
  return file;
}

void PowerCuts::play(const std::string& content) {
  if (content.empty()) return;  // no file at all
  ++states_;
  check_(content);
}

// Of the file itself: all that it holds. Of its directory: its name, and it was whole before it got that.
void PowerCuts::synced(int fd) {
  struct stat st{};
  if (::fstat(fd, &st) != 0) return;
  auto seen = now();
  if (st.st_ino == seen.inode || (S_ISDIR(st.st_mode) && seen.inode != synced_.inode)) synced_ = std::move(seen);
  play(synced_.content);
}

void PowerCuts::look() {
  const auto seen = now();
  play(synced_.content);
  play(seen.content);
  if (seen.inode != synced_.inode || seen.content.size() != synced_.content.size()) return;
  std::vector<std::size_t> changed;
  for (std::size_t at = 0; at < seen.content.size(); at += kSector)
    if (seen.content.compare(at, kSector, synced_.content, at, kSector) != 0) changed.push_back(at);
  const bool all = changed.size() <= kAllUpTo;
  for (int state = 0; state < (all ? 1 << changed.size() : kSample); ++state) {
    auto content = synced_.content;
    for (std::size_t i = 0; i < changed.size(); ++i)
      if (all ? (state >> i & 1) != 0 : random_.chance(0.5))
        content.replace(changed[i], kSector, seen.content, changed[i], kSector);
    play(content);
  }
}

}  // namespace foreshadow::testing

extern "C" int fsync(int fd) { return foreshadow::testing::sync_by(SYS_fsync, fd); }
extern "C" int fdatasync(int fd) { return foreshadow::testing::sync_by(SYS_fdatasync, fd); }
