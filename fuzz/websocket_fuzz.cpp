// Boundaries of WebSocket frames in whatever an instance sends: the same however the bytes are cut into pieces, and the
// same as a plain reading of RFC 6455, section 5.2, finds. The first byte says how to cut.
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "kinds/http/wire/websocket.hpp"

namespace {

// Where frames end, and whether nonsense came before the end of the bytes.
bool read_plainly(std::string_view bytes, std::vector<std::size_t>& ends) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(bytes[i]); };
  for (std::size_t at = 0; bytes.size() - at >= 2;) {
    std::uint64_t length = byte(at + 1) & 0x7f;
    const std::size_t more = length == 126 ? 2 : length == 127 ? 8 : 0;
    const std::size_t header = 2 + more + (byte(at + 1) & 0x80 ? 4 : 0);
    if (bytes.size() - at < header) return true;
    if (more > 0) length = 0;
    for (std::size_t i = 0; i < more; ++i) length = length << 8 | byte(at + 2 + i);
    if (length >> 63) return false;
    if (bytes.size() - at - header < length) return true;
    at += header + static_cast<std::size_t>(length);
    ends.push_back(at);
  }
  return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::size_t piece = data[0] + 1U;
  const std::string_view bytes(reinterpret_cast<const char*>(data + 1), size - 1);
  std::vector<std::size_t> expected, found;
  const bool sane = read_plainly(bytes, expected);

  foreshadow::kinds::http::FrameTracker tracker, whole;
  for (std::size_t at = 0; at < bytes.size() && !tracker.lost();) {
    const auto next = bytes.substr(at, piece);
    const auto to = tracker.to_boundary(next);
    if (to == 0 || to > next.size()) std::abort();
    tracker.pass(next.substr(0, to));
    at += to;
    if (tracker.at_boundary()) found.push_back(at);
  }
  whole.pass(bytes);
  if (found != expected || tracker.lost() == sane) std::abort();
  if (whole.lost() != tracker.lost() || whole.closed() != tracker.closed()) std::abort();
  if (!tracker.lost() && whole.at_boundary() != tracker.at_boundary()) std::abort();
  return 0;
}
