// Bytes that a reader has not taken yet. A connection holds memory only while its reader is slower than its sender:
// everything else goes through one scratch buffer that the whole thread shares.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <span>

namespace foreshadow::kinds::tcp {

// The account of one listener. Lives on the gateway's thread.
class HeldAccount {
 public:
  // Read at once, and so the most that one direction of one connection ever holds.
  static constexpr std::size_t chunk = 64 << 10;
  // What is read at once when `max` is reached: everybody still gets on, slowly.
  static constexpr std::size_t small_chunk = 4 << 10;

  explicit HeldAccount(std::size_t max) : max_(max) {}
  // Where to read into; its content is void after the next call.
  std::span<char> scratch() { return std::span(scratch_).first(bytes_ + chunk <= max_ ? chunk : small_chunk); }
  std::size_t bytes() const { return bytes_; }

 private:
  friend class Held;
  std::size_t max_;
  std::size_t bytes_ = 0;
  std::array<char, chunk> scratch_;
};

// What one direction holds. The account outlives it.
class Held {
 public:
  explicit Held(HeldAccount& account) : account_(account) {}
  ~Held() { drop(); }
  Held(const Held&) = delete;
  Held& operator=(const Held&) = delete;

  HeldAccount& account() { return account_; }
  // Requires: empty().
  void keep(std::span<const char> bytes);
  bool empty() const { return begin_ == size_; }
  std::span<const char> rest() const { return {bytes_.get() + begin_, size_ - begin_}; }
  // The first n went out; memory is given back with the last.
  void consume(std::size_t n);

 private:
  void drop();
  HeldAccount& account_;
  std::unique_ptr<char[]> bytes_;
  std::size_t size_ = 0;
  std::size_t begin_ = 0;
};

}  // namespace foreshadow::kinds::tcp
