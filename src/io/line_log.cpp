#include "io/line_log.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstring>
#include <mutex>

#include "base/assert.hpp"
#include "base/log.hpp"
#include "io/wait.hpp"

namespace foreshadow::io {
namespace {

Result<Fd> open_for_appending(const std::string& path) {
  // Not waiting for a reader, should it be a pipe.
  Fd file(::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0640));
  if (!file) return fail(Code::io, errno_text("cannot open " + path + " for appending"));
  struct stat at{};
  if (::fstat(file.get(), &at) != 0 || !S_ISREG(at.st_mode))
    return fail(Code::invalid, fmt::format("{} is not a regular file", path));
  return file;
}

}  // namespace

Result<std::unique_ptr<LineLog>> LineLog::open(LineLogSettings settings) {
  FS_ASSERT(std::has_single_bit(settings.buffer_bytes) && settings.writers > 0);
  FS_TRY(file, open_for_appending(settings.path));
  return std::unique_ptr<LineLog>(new LineLog(std::move(settings), std::move(file)));
}

LineLog::LineLog(LineLogSettings settings, Fd file) : settings_(std::move(settings)), file_(std::move(file)) {
  for (std::size_t i = 0; i < settings_.writers; ++i) rings_.push_back(std::make_unique<Ring>(settings_.buffer_bytes));
  thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
}

LineLog::~LineLog() {
  thread_.request_stop();
  thread_.join();
}

std::uint64_t LineLog::dropped() const {
  auto sum = lost_.load(std::memory_order_relaxed);
  for (const auto& ring : rings_) sum += ring->dropped.load(std::memory_order_relaxed);
  return sum;
}

void LineLog::Ring::put(std::uint64_t at, std::string_view what, std::size_t size) {
  const auto begin = static_cast<std::size_t>(at & (size - 1));
  const auto first = std::min(what.size(), size - begin);
  std::memcpy(bytes.get() + begin, what.data(), first);
  std::memcpy(bytes.get(), what.data() + first, what.size() - first);
}

bool LineLog::push(std::string_view line, std::size_t writer) {
  auto& ring = *rings_[writer];
  const auto head = ring.head.load(std::memory_order_relaxed);
  const auto used = head - ring.tail.load(std::memory_order_acquire);
  if (line.size() + 1 > settings_.buffer_bytes - used) {
    ring.dropped.fetch_add(1, std::memory_order_relaxed);
    return false;
  }
  ring.put(head, line, settings_.buffer_bytes);
  ring.put(head + line.size(), "\n", settings_.buffer_bytes);
  const auto after = used + line.size() + 1;
  ring.head.store(head + line.size() + 1, std::memory_order_release);
  // No call of the kernel for each line: the thread looks by itself, and is only woken when it would look too late.
  // Should it miss this, the next look is soon.
  if (used < settings_.buffer_bytes / 2 && after >= settings_.buffer_bytes / 2) wake_.notify_one();
  return true;
}

bool LineLog::half_full() const {
  return std::ranges::any_of(rings_, [this](const auto& ring) {
    return ring->head.load(std::memory_order_acquire) - ring->tail.load(std::memory_order_relaxed) >=
           settings_.buffer_bytes / 2;
  });
}

void LineLog::run(const std::stop_token& stop) {
  std::mutex mutex;
  std::unique_lock lock(mutex);
  while (!stop.stop_requested()) {
    wake_.wait_for(lock, stop, settings_.flush_interval, [this] { return half_full(); });
    for (const auto& ring : rings_) flush(*ring);
  }
  for (const auto& ring : rings_) flush(*ring);
}

void LineLog::flush(Ring& ring) {
  const auto tail = ring.tail.load(std::memory_order_relaxed);
  const auto head = ring.head.load(std::memory_order_acquire);
  if (head == tail) return;
  follow_rename();
  write_out(ring, tail, head);
  ring.tail.store(head, std::memory_order_release);
}

void LineLog::follow_rename() {
  struct stat named{}, open{};
  if (::stat(settings_.path.c_str(), &named) == 0 && ::fstat(file_.get(), &open) == 0 && named.st_ino == open.st_ino &&
      named.st_dev == open.st_dev)
    return;
  auto fresh = open_for_appending(settings_.path);
  if (fresh) {
    file_ = std::move(*fresh);
    torn_ = false;
  } else {
    // The old file goes on: better there than nowhere.
    log::warn("{}", fresh.error().what);
  }
}

void LineLog::write_out(const Ring& ring, std::uint64_t at, std::uint64_t end) {
  const auto byte = [&](std::uint64_t i) { return ring.bytes[i & (settings_.buffer_bytes - 1)]; };
  char line_feed = '\n';
  for (bool begun = false; at < end; begun = true) {
    const auto begin = static_cast<std::size_t>(at & (settings_.buffer_bytes - 1));
    const auto size = static_cast<std::size_t>(end - at);
    const auto first = std::min(size, settings_.buffer_bytes - begin);
    // In one call, so that two processes that append to one file (an upgrade) do not mix within a line.
    const std::array<iovec, 3> parts{iovec{&line_feed, torn_ ? 1U : 0U}, iovec{ring.bytes.get() + begin, first},
                                     iovec{ring.bytes.get(), size - first}};
    auto written = ::writev(file_.get(), parts.data(), parts.size());
    while (written < 0 && errno == EINTR) written = ::writev(file_.get(), parts.data(), parts.size());
    if (written <= 0) {
      if (!failing_) log::warn("{}", errno_text(settings_.path + ": lines are dropped"));
      failing_ = true;
      // Half a line may be there: what comes next must not go on in it.
      if (begun) torn_ = byte(at - 1) != '\n';
      std::uint64_t lines = 0;
      for (auto i = at; i < end; ++i) lines += byte(i) == '\n';
      lost_.fetch_add(lines, std::memory_order_relaxed);
      return;
    }
    failing_ = false;
    at += static_cast<std::uint64_t>(written) - (torn_ ? 1 : 0);
    torn_ = false;
  }
}

}  // namespace foreshadow::io
