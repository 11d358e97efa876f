// Looks at the frames of a client before nghttp2 does, for what nghttp2 does not refuse: frames on streams that are
// over and stream ids that go backwards (RFC 9113, sections 5.1 and 5.1.1), and floods of frames that cost their sender
// nothing (section 10.5). Reads frame headers only. Pure: the time is an argument. Never forgives: after a violation
// nothing passes.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <optional>
#include <string_view>
#include <vector>

#include "kinds/http/h2/settings.hpp"

namespace foreshadow::kinds::http::h2 {

// RFC 9113, section 7.
enum class ErrorCode : std::uint32_t {
  no_error = 0x0,
  protocol_error = 0x1,
  internal_error = 0x2,
  stream_closed = 0x5,
  refused_stream = 0x7,
  cancel = 0x8,
  enhance_your_calm = 0xb,
};

class FrameGuard {
 public:
  using Time = std::chrono::steady_clock::time_point;
  struct Violation {
    ErrorCode code = ErrorCode::protocol_error;
    const char* why = "";
  };
  // `block_bytes_max`: of one header block as it travels, compressed.
  FrameGuard(const Settings& settings, std::size_t block_bytes_max, Time now);

  // How many of these bytes may be passed on. Fewer than all: violation() is set.
  std::size_t pass(std::string_view bytes, Time now);
  const std::optional<Violation>& violation() const { return violation_; }
  // A header block has begun and not ended.
  bool in_header_block() const { return block_stream_ != 0; }

  // What we sent, which changes what the client may still send.
  void sent_data(std::size_t bytes);
  void sent_reset(std::uint32_t stream, ErrorCode code);
  // The caller found one itself; only the first counts.
  void violate(ErrorCode code, const char* why);

 private:
  // How the client's half of a stream stands.
  enum class Half : std::uint8_t { open, ended, reset_by_client, reset_by_us };
  struct Entry {
    std::uint32_t stream;
    Half half;
  };
  // Refills steadily up to its size; empty means too much.
  struct Bucket {
    double size;
    double per_second;
    double left;
    void refill(double seconds);
    void give(double n);
    bool take(double n);
  };

  void on_frame();
  void on_headers(std::uint32_t stream, std::uint8_t flags);
  void on_data(std::uint32_t stream, std::uint8_t flags);
  void on_reset(std::uint32_t stream);
  void on_block_part(std::uint8_t flags);
  void spend_idle(double n);
  void spend_reset();
  Entry* find(std::uint32_t stream);
  void remember(std::uint32_t stream, Half half);

  const Settings settings_;
  const std::size_t block_bytes_max_;
  std::optional<Violation> violation_;
  std::array<unsigned char, 9> header_{};
  std::size_t header_bytes_ = 0;
  std::size_t payload_left_ = 0;
  std::uint32_t block_stream_ = 0;  // 0: none is open
  std::size_t block_bytes_ = 0;
  std::size_t continuations_ = 0;
  std::uint32_t last_stream_ = 0;
  std::vector<Entry> streams_;  // by id; all that are open, and the last of those that ended
  Bucket resets_;
  Bucket idle_;
  Time refilled_at_;
};

}  // namespace foreshadow::kinds::http::h2
