#include "kinds/tcp/session/held.hpp"

#include <algorithm>

#include "base/assert.hpp"

namespace foreshadow::kinds::tcp {

void Held::keep(std::span<const char> bytes) {
  FS_ASSERT(empty());
  bytes_ = std::make_unique_for_overwrite<char[]>(bytes.size());
  std::ranges::copy(bytes, bytes_.get());
  size_ = bytes.size();
  begin_ = 0;
  account_.bytes_ += size_;
}

void Held::consume(std::size_t n) {
  begin_ += n;
  FS_ASSERT(begin_ <= size_);
  if (empty()) drop();
}

void Held::drop() {
  account_.bytes_ -= size_;
  bytes_.reset();
  size_ = begin_ = 0;
}

}  // namespace foreshadow::kinds::tcp
