// What instances are spoken to in, and the limits of one HTTP/2 connection to an instance. Each of them bounds what an
// instance, sick or hostile, can make the gateway hold or do.
#pragma once

#include <cstdint>

#include "base/time.hpp"

namespace foreshadow::kinds::http::h2client {

enum class Speak {
  http1,
  h2,         // by prior knowledge in the plain (RFC 9113, section 3.3), by ALPN under TLS
  automatic,  // what ALPN chooses under TLS; HTTP/1.1 in the plain
};

struct Settings {
  Speak speak = Speak::http1;
  std::uint32_t connections_max = 8;  // to one instance; who finds them full waits for a stream
  std::uint32_t streams_max = 100;    // at once on one connection, and never more than the instance allows
  // Bytes of one answer that may wait here until its client has taken them. A connection's answers together hold at
  // most streams_max times as much, and none of them waits for another.
  std::uint32_t stream_window = 256 << 10;
  // Frames that bring no work forward (PING, SETTINGS, WINDOW_UPDATE, empty DATA, unknown ones) in a row; a tenth of it
  // is regained each second, and more by every head and every frame of a body. Past it the connection ends.
  std::uint32_t idle_frames_max = 1000;
  // After such a silence with requests at work the instance is asked whether it is there. Servers of gRPC end
  // connections that ask more often than every five minutes.
  Millis ping_interval{300'000};
  Millis ping_timeout{10'000};  // without an answer to that, the connection is taken for dead
};

}  // namespace foreshadow::kinds::http::h2client
