// A log of whole lines whose writer never makes the caller wait: lines go into a bounded ring, and a thread of its own
// takes them to the file. What the disk does not take in time is dropped and counted, never waited for. Rotation needs
// no signal: a file that was renamed or removed is opened anew before the next write, and one that was truncated in
// place (copytruncate) is appended to. Not for what must survive a crash: there is no fsync.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <thread>

#include "base/result.hpp"
#include "base/time.hpp"
#include "io/fd.hpp"

namespace foreshadow::io {

struct LineLogSettings {
  std::string path;
  std::size_t buffer_bytes = 4 << 20;  // a power of two; a line that is longer is dropped
  Millis flush_interval{200};          // a line is in the file no later than this, if the disk keeps up
};

class LineLog {
 public:
  // Opens the file for appending, and creates it (mode 0640). Errors: invalid (not a regular file), io.
  static Result<std::unique_ptr<LineLog>> open(LineLogSettings settings);
  // Writes what is in the buffer first.
  ~LineLog();

  // `line` without its line feed. From one thread only; neither waits nor allocates. False: dropped.
  bool push(std::string_view line);
  // Lines not written: no room, or an error of the disk. From any thread.
  std::uint64_t dropped() const {
    return dropped_.load(std::memory_order_relaxed) + lost_.load(std::memory_order_relaxed);
  }

 private:
  LineLog(LineLogSettings settings, Fd file);
  void put(std::uint64_t at, std::string_view bytes);
  void run(const std::stop_token& stop);
  void flush();
  void follow_rename();
  // The bytes of the ring from `at` on; those that were not written are lost, whole lines of them counted.
  void write_out(std::uint64_t at, std::uint64_t end);

  const LineLogSettings settings_;
  const std::unique_ptr<char[]> ring_;
  // Bytes ever put in and ever taken out. Each has one writer: the caller, and the thread.
  std::atomic<std::uint64_t> head_{0};
  std::atomic<std::uint64_t> tail_{0};
  std::atomic<std::uint64_t> dropped_{0};  // by the caller
  std::atomic<std::uint64_t> lost_{0};     // by the thread
  std::condition_variable_any wake_;

  Fd file_;  // from here on the thread's own
  bool torn_ = false;
  bool failing_ = false;  // told once, until it works again
  std::jthread thread_;
};

}  // namespace foreshadow::io
