// Where the frames of a WebSocket begin and end (RFC 6455, section 5.2), in bytes that come in any pieces. Reads
// headers and counts payloads; never looks into a payload, judges nothing, holds nothing but an unfinished header.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace foreshadow::kinds::http {

// Of one direction.
class FrameTracker {
 public:
  // These bytes passed by.
  void pass(std::string_view bytes);
  // How many of these bytes, which come next, belong to the frame under way, or to the next if none is: all, if it goes
  // on behind them.
  std::size_t to_boundary(std::string_view bytes) const;

  // A frame may be put in here: between two frames, be they parts of one message or not (section 5.4).
  bool at_boundary() const { return seen_ == 0 && left_ == 0 && !lost_; }
  // What passed by is not in frames: boundaries are not known any more.
  bool lost() const { return lost_; }
  // A Close frame has passed: no frame may follow it.
  bool closed() const { return closed_; }

 private:
  static constexpr std::size_t kHeaderMax = 14;
  std::size_t step(std::string_view bytes);
  void read_header();
  std::size_t header_size() const;

  std::array<unsigned char, kHeaderMax> header_{};
  std::size_t seen_ = 0;    // of a header that is not whole
  std::uint64_t left_ = 0;  // of the payload
  bool lost_ = false;
  bool closed_ = false;
};

// RFC 6455, section 7.4.1, and the registry it founded.
inline constexpr std::uint16_t kGoingAway = 1001;
inline constexpr std::uint16_t kServiceRestart = 1012;
// A Close frame of a server; `reason`: at most 123 bytes of UTF-8.
std::string close_frame(std::uint16_t code, std::string_view reason);

}  // namespace foreshadow::kinds::http
