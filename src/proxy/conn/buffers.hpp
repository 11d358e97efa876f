// Buffers for many connections of one thread, of which few hold bytes at a time: the one that was given back
// last is the next, and still in the processor's cache. A few are kept; the allocator never hears of those.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace foreshadow::proxy {

class Buffers {
 public:
  static constexpr std::size_t bytes = 32 << 10;

  // To receive into. Uninitialised.
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

  // To gather what is to be sent. Empty, and has what room it had when it was given back.
  std::string take_gathering() {
    if (gathering_.empty()) return {};
    auto buffer = std::move(gathering_.back());
    gathering_.pop_back();
    return buffer;
  }
  void give_gathering(std::string buffer) {
    if (buffer.capacity() > kGatheringBytesMax || gathering_.size() >= kGatheringKept) return;
    buffer.clear();
    gathering_.push_back(std::move(buffer));
  }

 private:
  static constexpr std::size_t kKept = 32;
  static constexpr std::size_t kGatheringKept = 4;
  static constexpr std::size_t kGatheringBytesMax = 256 << 10;
  std::vector<std::unique_ptr<char[]>> kept_;
  std::vector<std::string> gathering_;
};

}  // namespace foreshadow::proxy
