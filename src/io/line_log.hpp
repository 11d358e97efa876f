// A log of whole lines whose writer never makes the caller wait: lines go into a bounded ring, one for each thread that
// writes, and a thread of its own takes them to the file, whole lines of one after whole lines of another. What the
// disk does not take in time is dropped and counted, never waited for. Rotation needs no signal: a file that was
// renamed or removed is opened anew before the next write, and one that was truncated in place (copytruncate) is
// appended to. Not for what must survive a crash: there is no fsync.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/result.hpp"
#include "base/time.hpp"
#include "io/fd.hpp"

namespace foreshadow::io {

struct LineLogSettings {
  std::string path;
  std::size_t buffer_bytes = 4 << 20;  // of each writer; a power of two; a line that is longer is dropped
  std::size_t writers = 1;             // threads that push
  Millis flush_interval{200};          // a line is in the file no later than this, if the disk keeps up
};

class LineLog {
 public:
  // Opens the file for appending, and creates it (mode 0640). Errors: invalid (not a regular file), io.
  static Result<std::unique_ptr<LineLog>> open(LineLogSettings settings);
  // Writes what is in the buffer first.
  ~LineLog();

  // `line` without its line feed. From one thread only for each `writer`; neither waits nor allocates. False: dropped.
  bool push(std::string_view line, std::size_t writer = 0);
  // Lines not written: no room, or an error of the disk. From any thread.
  std::uint64_t dropped() const;

 private:
  // Of one writer. On lines of the cache of its own, for nobody else writes there.
  struct alignas(64) Ring {
    explicit Ring(std::size_t size) : bytes(std::make_unique_for_overwrite<char[]>(size)) {}
    void put(std::uint64_t at, std::string_view what, std::size_t size);
    const std::unique_ptr<char[]> bytes;
    // Bytes ever put in and ever taken out. Each has one writer: the caller, and the thread.
    std::atomic<std::uint64_t> head{0};
    std::atomic<std::uint64_t> tail{0};
    std::atomic<std::uint64_t> dropped{0};  // by the caller
  };
  LineLog(LineLogSettings settings, Fd file);
  void run(const std::stop_token& stop);
  bool half_full() const;
  void flush(Ring& ring);
  void follow_rename();
  // The bytes of the ring from `at` on; those that were not written are lost, whole lines of them counted.
  void write_out(const Ring& ring, std::uint64_t at, std::uint64_t end);

  const LineLogSettings settings_;
  std::vector<std::unique_ptr<Ring>> rings_;  // one a writer
  std::atomic<std::uint64_t> lost_{0};        // by the thread
  std::condition_variable_any wake_;

  Fd file_;  // from here on the thread's own
  bool torn_ = false;
  bool failing_ = false;  // told once, until it works again
  std::jthread thread_;
};

}  // namespace foreshadow::io
