// The limits of one HTTP/2 connection. Each of them bounds what a client can make the gateway hold or do; whoever goes
// past those marked so loses its connection (GOAWAY ENHANCE_YOUR_CALM).
#pragma once

#include <cstdint>

namespace foreshadow::kinds::http::h2 {

// What a listener speaks. `both`: a client that begins with HTTP/2's preface gets HTTP/2, any other HTTP/1.
enum class Offer { http1, both, only };

struct Settings {
  Offer offer = Offer::both;
  std::uint32_t streams_max = 100;  // requests at once; more are refused and may be sent again
  // Bytes of bodies that may wait here before the service has taken them: of one request, and of all of a connection.
  std::uint32_t stream_window = 256 << 10;
  std::uint32_t connection_window = 1 << 20;
  std::uint32_t frame_bytes_max = 16 << 10;
  // Requests that a client may give up (RST_STREAM) or spoil in a row; a sixth of it is regained each second. Past it
  // the connection ends (CVE-2023-44487 and its kin).
  std::uint32_t resets_max = 200;
  // Frames that bring no work forward (PING, SETTINGS, PRIORITY, WINDOW_UPDATE, empty DATA, unknown ones) in a row; a
  // tenth of it is regained each second, and more by every request and every frame of a body. Past it the connection
  // ends.
  std::uint32_t idle_frames_max = 1000;
  // CONTINUATION frames of one header block. Past it the connection ends.
  std::uint32_t continuations_max = 8;
};

}  // namespace foreshadow::kinds::http::h2
