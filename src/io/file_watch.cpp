#include "io/file_watch.hpp"

#include <sys/stat.h>

#include <array>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <stop_token>

namespace foreshadow::io {
namespace {

using Stamp = std::array<std::int64_t, 4>;

// All zero: not there.
std::vector<Stamp> stamps_of(const std::vector<std::string>& files) {
  std::vector<Stamp> stamps;
  for (const auto& file : files) {
    struct stat at{};
    stamps.push_back(::stat(file.c_str(), &at) == 0 ? Stamp{at.st_mtim.tv_sec, at.st_mtim.tv_nsec, at.st_size,
                                                            static_cast<std::int64_t>(at.st_ino)}
                                                    : Stamp{});
  }
  return stamps;
}

void watch(const std::stop_token& stop, const std::vector<std::string>& files, std::vector<Stamp> seen, Millis interval,
           const std::function<bool()>& changed) {
  std::mutex mutex;
  std::condition_variable_any never;
  std::unique_lock lock(mutex);
  bool content = true;
  for (;;) {
    never.wait_for(lock, stop, interval, [] { return false; });
    if (stop.stop_requested()) return;
    auto now = stamps_of(files);
    if (content && now == seen) continue;
    // Taken before the files are read: what changes meanwhile is seen at the next look.
    seen = std::move(now);
    content = changed();
  }
}

}  // namespace

// The first stamps are taken here: what changes from now on is not missed.
FileWatch::FileWatch(std::vector<std::string> files, Millis interval, std::function<bool()> changed) {
  auto seen = stamps_of(files);
  thread_ = std::jthread([files = std::move(files), seen = std::move(seen), interval, changed = std::move(changed)](
                             const std::stop_token& stop) { watch(stop, files, seen, interval, changed); });
}

}  // namespace foreshadow::io
