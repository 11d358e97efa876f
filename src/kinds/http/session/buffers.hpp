// Receive buffers for many connections of one thread, of which few hold bytes at a time: the one that was given back
// last is the next, and still in the processor's cache. A few are kept; the allocator never hears of those.
#pragma once

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

namespace foreshadow::kinds::http {

class Buffers {
 public:
  static constexpr std::size_t bytes = 32 << 10;

  // Uninitialised.
  std::unique_ptr<char[]> take() {
    if (kept_.empty()) return std::make_unique_for_overwrite<char[]>(bytes);
    auto buffer = std::move(kept_.back());
    kept_.pop_back();
    return buffer;
  }
  // Requires: it has `bytes`.
  void give(std::unique_ptr<char[]> buffer) {
    if (kept_.size() < kKept) kept_.push_back(std::move(buffer));
  }

 private:
  static constexpr std::size_t kKept = 32;
  std::vector<std::unique_ptr<char[]>> kept_;
};

}  // namespace foreshadow::kinds::http
