// Eight bytes of digest, fast enough for the gateway's thread (about four bytes a cycle): tells bodies apart that
// differ by chance. It resists nobody who wants two bodies to be equal. The same however the bytes are cut into pieces.
#pragma once

#include <cstdint>
#include <string_view>

namespace foreshadow::kinds::http {

class Digest {
 public:
  void add(std::string_view data) {
    length_ += data.size();
    while (waiting_bytes_ != 0 && !data.empty()) {
      take(data.front());
      data.remove_prefix(1);
    }
    for (; data.size() >= sizeof(std::uint64_t); data.remove_prefix(sizeof(std::uint64_t))) {
      std::uint64_t word = 0;
      for (unsigned i = 0; i < sizeof word; ++i) word |= byte(data[i]) << (8 * i);
      step(word);
    }
    for (const char c : data) take(c);
  }
  std::uint64_t value() const {
    auto ended = *this;
    ended.step(waiting_);
    ended.step(length_);
    return ended.state_;
  }

 private:
  // A round of SplitMix64's finaliser (Steele, Lea, Flood 2014).
  void step(std::uint64_t word) {
    state_ = (state_ ^ word) * 0xbf58476d1ce4e5b9ULL;
    state_ ^= state_ >> 29;
  }
  static std::uint64_t byte(char c) { return static_cast<unsigned char>(c); }
  void take(char c) {
    waiting_ |= byte(c) << (8 * waiting_bytes_);
    if (++waiting_bytes_ < sizeof waiting_) return;
    step(waiting_);
    waiting_ = 0;
    waiting_bytes_ = 0;
  }

  std::uint64_t state_ = 0x9e3779b97f4a7c15ULL;
  std::uint64_t length_ = 0;
  std::uint64_t waiting_ = 0;  // the first bytes of a word
  unsigned waiting_bytes_ = 0;
};

}  // namespace foreshadow::kinds::http
