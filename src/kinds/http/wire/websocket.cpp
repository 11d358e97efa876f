#include "kinds/http/wire/websocket.hpp"

#include <algorithm>

#include "base/assert.hpp"

namespace foreshadow::kinds::http {
namespace {
constexpr unsigned char kOpcode = 0x0f;
constexpr unsigned char kMasked = 0x80;
constexpr unsigned char kLength = 0x7f;
constexpr unsigned char kClose = 0x8;
constexpr std::size_t kReasonMax = 123;
}  // namespace

void FrameTracker::pass(std::string_view bytes) {
  while (!bytes.empty() && !lost_) bytes.remove_prefix(step(bytes));
}

std::size_t FrameTracker::to_boundary(std::string_view bytes) const {
  auto ahead = *this;
  std::size_t used = 0;
  while (used < bytes.size() && !ahead.lost_) {
    used += ahead.step(bytes.substr(used));
    if (ahead.at_boundary()) return used;
  }
  return bytes.size();
}

// Takes a payload, or a header, or what there is of it; at least one byte.
std::size_t FrameTracker::step(std::string_view bytes) {
  if (left_ > 0) {
    const auto used = std::min<std::uint64_t>(left_, bytes.size());
    left_ -= used;
    return static_cast<std::size_t>(used);
  }
  std::size_t used = 0;
  while (used < bytes.size()) {
    header_[seen_++] = static_cast<unsigned char>(bytes[used++]);
    if (seen_ < header_size()) continue;
    read_header();
    break;
  }
  return used;
}

std::size_t FrameTracker::header_size() const {
  if (seen_ < 2) return 2;
  const auto length = header_[1] & kLength;
  return 2U + (length == 126 ? 2U : length == 127 ? 8U : 0U) + ((header_[1] & kMasked) != 0 ? 4U : 0U);
}

void FrameTracker::read_header() {
  const auto length = header_[1] & kLength;
  left_ = static_cast<std::uint64_t>(length);
  if (length >= 126) {
    left_ = 0;
    for (std::size_t i = 2; i < (length == 126 ? 4U : 10U); ++i) left_ = left_ << 8 | header_[i];
  }
  // The most significant bit must be zero: no frame has such a length.
  lost_ = left_ >> 63 != 0;
  closed_ = closed_ || (header_[0] & kOpcode) == kClose;
  seen_ = 0;
}

std::string close_frame(std::uint16_t code, std::string_view reason) {
  FS_ASSERT(reason.size() <= kReasonMax);
  std::string frame{static_cast<char>(0x80 | kClose), static_cast<char>(2 + reason.size()),
                    static_cast<char>(code >> 8), static_cast<char>(code & 0xff)};
  return frame.append(reason);
}

}  // namespace foreshadow::kinds::http
