#include "kinds/http/h2/guard.hpp"

#include <algorithm>

namespace foreshadow::kinds::http::h2 {
namespace {

// RFC 9113, section 6.
enum Type : std::uint8_t {
  kData = 0,
  kHeaders = 1,
  kPriority = 2,
  kRstStream = 3,
  kSettings = 4,
  kPushPromise = 5,
  kPing = 6,
  kGoaway = 7,
  kWindowUpdate = 8,
  kContinuation = 9,
};
constexpr std::uint8_t kEndStream = 0x1;
constexpr std::uint8_t kEndHeaders = 0x4;

// Streams that ended and are still known, so that late frames on them are told from frames that never made sense.
constexpr std::size_t kEndedMax = 256;
// What earns idle frames: a request (browsers send priorities along), a frame of a body, an answer's frame (the client
// sends window updates, and gRPC a ping, for it).
constexpr double kRequestEarns = 8;
constexpr double kBodyEarns = 1;
constexpr double kAnswerEarns = 2;
constexpr double kFullAnswerEarns = 4;
constexpr std::size_t kFullAnswer = 1024;
// SETTINGS are the dearest: each is applied and acknowledged.
constexpr double kSettingsCost = 4;

}  // namespace

void FrameGuard::Bucket::refill(double seconds) { give(seconds * per_second); }
void FrameGuard::Bucket::give(double n) { left = std::min(size, left + n); }
bool FrameGuard::Bucket::take(double n) {
  left -= n;
  return left >= 0;
}

FrameGuard::FrameGuard(const Settings& settings, std::size_t block_bytes_max, Time now)
    : settings_(settings),
      block_bytes_max_(block_bytes_max),
      resets_{double(settings.resets_max), settings.resets_max / 6.0, double(settings.resets_max)},
      idle_{double(settings.idle_frames_max), settings.idle_frames_max / 10.0, double(settings.idle_frames_max)},
      refilled_at_(now) {}

std::size_t FrameGuard::pass(std::string_view bytes, Time now) {
  const auto seconds = std::chrono::duration<double>(now - refilled_at_).count();
  refilled_at_ = now;
  resets_.refill(seconds);
  idle_.refill(seconds);
  for (std::size_t i = 0; !violation_ && i < bytes.size();) {
    if (payload_left_ > 0) {
      const auto n = std::min(payload_left_, bytes.size() - i);
      payload_left_ -= n;
      i += n;
      continue;
    }
    // Where the header begins within these bytes; what of it came earlier has passed.
    const auto begin = i;
    while (header_bytes_ < header_.size() && i < bytes.size())
      header_[header_bytes_++] = static_cast<unsigned char>(bytes[i++]);
    if (header_bytes_ < header_.size()) break;
    header_bytes_ = 0;
    on_frame();
    if (violation_) return begin;
  }
  return violation_ ? 0 : bytes.size();
}

void FrameGuard::on_frame() {
  payload_left_ = std::size_t{header_[0]} << 16 | std::size_t{header_[1]} << 8 | header_[2];
  const auto type = header_[3];
  const auto flags = header_[4];
  const auto stream = (std::uint32_t{header_[5]} << 24 | std::uint32_t{header_[6]} << 16 |
                       std::uint32_t{header_[7]} << 8 | header_[8]) &
                      0x7fffffff;
  if (block_stream_ != 0 && (type != kContinuation || stream != block_stream_))
    return violate(ErrorCode::protocol_error, "another frame inside a header block");
  switch (type) {
    case kData:
      return on_data(stream, flags);
    case kHeaders:
      return on_headers(stream, flags);
    case kRstStream:
      return on_reset(stream);
    case kContinuation:
      // Outside a block nghttp2 refuses it.
      if (block_stream_ == 0) return;
      if (++continuations_ > settings_.continuations_max)
        return violate(ErrorCode::enhance_your_calm, "too many CONTINUATION frames");
      return on_block_part(flags);
    case kSettings:
      return spend_idle(kSettingsCost);
    case kPriority:
    case kPushPromise:
    case kPing:
    case kGoaway:
    case kWindowUpdate:
    default:
      return spend_idle(1);
  }
}

void FrameGuard::on_headers(std::uint32_t stream, std::uint8_t flags) {
  const bool ends = flags & kEndStream;
  if (stream > last_stream_ && stream % 2 == 1) {
    last_stream_ = stream;
    remember(stream, ends ? Half::ended : Half::open);
    idle_.give(kRequestEarns);
  } else if (auto* entry = find(stream)) {
    if (entry->half == Half::ended || entry->half == Half::reset_by_client)
      return violate(ErrorCode::stream_closed, "HEADERS on a stream that is closed");
    if (entry->half == Half::open && ends) entry->half = Half::ended;
    if (entry->half == Half::reset_by_us) spend_idle(1);
  } else if (stream % 2 == 1) {
    return violate(ErrorCode::protocol_error, "a stream id below one that was used before");
  }
  block_stream_ = stream;
  block_bytes_ = continuations_ = 0;
  on_block_part(flags);
}

void FrameGuard::on_block_part(std::uint8_t flags) {
  block_bytes_ += payload_left_;
  if (block_bytes_ > block_bytes_max_) return violate(ErrorCode::enhance_your_calm, "header block too large");
  if (flags & kEndHeaders) block_stream_ = 0;
}

void FrameGuard::on_data(std::uint32_t stream, std::uint8_t flags) {
  auto* entry = find(stream);
  const bool ends = flags & kEndStream;
  if (entry && (entry->half == Half::ended || entry->half == Half::reset_by_client))
    return violate(ErrorCode::stream_closed, "DATA on a stream that is closed");
  if (entry && entry->half == Half::open && ends) entry->half = Half::ended;
  if (payload_left_ > 0 && entry && entry->half != Half::reset_by_us)
    idle_.give(kBodyEarns);
  else if (!ends)
    spend_idle(1);
}

void FrameGuard::on_reset(std::uint32_t stream) {
  auto* entry = find(stream);
  if (!entry || entry->half == Half::reset_by_client || entry->half == Half::reset_by_us) return spend_idle(1);
  entry->half = Half::reset_by_client;
  spend_reset();
}

void FrameGuard::sent_data(std::size_t bytes) { idle_.give(bytes >= kFullAnswer ? kFullAnswerEarns : kAnswerEarns); }

void FrameGuard::sent_reset(std::uint32_t stream, ErrorCode code) {
  if (auto* entry = find(stream)) entry->half = Half::reset_by_us;
  // A client can also make us reset its requests. What we reset for reasons of our own is not its doing.
  if (code != ErrorCode::no_error && code != ErrorCode::cancel && code != ErrorCode::internal_error) spend_reset();
}

void FrameGuard::spend_idle(double n) {
  if (!idle_.take(n)) violate(ErrorCode::enhance_your_calm, "too many frames that do nothing");
}

void FrameGuard::spend_reset() {
  if (!resets_.take(1)) violate(ErrorCode::enhance_your_calm, "too many requests given up");
}

void FrameGuard::violate(ErrorCode code, const char* why) {
  if (!violation_) violation_ = Violation{code, why};
}

FrameGuard::Entry* FrameGuard::find(std::uint32_t stream) {
  const auto at = std::ranges::lower_bound(streams_, stream, {}, &Entry::stream);
  return at != streams_.end() && at->stream == stream ? &*at : nullptr;
}

void FrameGuard::remember(std::uint32_t stream, Half half) {
  // Twice as many before they are thinned out, so that this happens seldom.
  if (streams_.size() >= 2 * (kEndedMax + settings_.streams_max)) {
    auto forget = streams_.size() - (kEndedMax + settings_.streams_max);
    std::erase_if(streams_, [&](const Entry& entry) {
      if (forget == 0 || entry.half == Half::open) return false;
      --forget;
      return true;
    });
    // Requests that go on being sent after we said that none will be served.
    if (forget > 0) return violate(ErrorCode::enhance_your_calm, "too many streams are open");
  }
  streams_.push_back({stream, half});
}

}  // namespace foreshadow::kinds::http::h2
