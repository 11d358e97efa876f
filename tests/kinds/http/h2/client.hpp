// An HTTP/2 client for tests, frame by frame, so that it can also do what no client should. Only HPACK is nghttp2's.
#pragma once

#include <nghttp2/nghttp2.h>

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "kinds/http/net.hpp"

namespace foreshadow::kinds::http::testing {

struct Frame {
  std::uint8_t type = 0;
  std::uint8_t flags = 0;
  std::uint32_t stream = 0;
  std::string payload;
  // Of RST_STREAM and GOAWAY.
  std::uint32_t code() const;
  std::uint32_t last_stream() const;
};
inline constexpr std::uint8_t kData = 0, kHeaders = 1, kPriority = 2, kRstStream = 3, kSettings = 4, kPing = 6,
                              kGoaway = 7, kWindowUpdate = 8, kContinuation = 9;
inline constexpr std::uint8_t kEndStream = 1, kAck = 1, kEndHeaders = 4;
std::string uint32(std::uint32_t value);

using Fields = std::vector<std::pair<std::string, std::string>>;
// Pseudo-header fields of a request, and more.
Fields get(const std::string& path, const Fields& more = {});
Fields post(const std::string& path, const Fields& more = {});

struct H2Answer {
  std::vector<int> interim;
  int status = 0;
  std::map<std::string, std::string> fields;
  std::map<std::string, std::string> trailers;
  std::string body;
  bool ended = false;
  std::optional<std::uint32_t> reset;
};

class H2Client {
 public:
  // Sends the preface and SETTINGS of these (id, value) pairs.
  explicit H2Client(Stream stream, const std::vector<std::pair<std::uint16_t, std::uint32_t>>& settings = {});
  ~H2Client();
  H2Client(const H2Client&) = delete;
  H2Client& operator=(const H2Client&) = delete;

  bool send(std::uint8_t type, std::uint8_t flags, std::uint32_t stream, std::string_view payload = {});
  std::string pack(const Fields& fields);
  void head(std::uint32_t stream, const Fields& fields, bool end = true);
  // As much as the windows allow at each moment, reading meanwhile.
  bool body(std::uint32_t stream, std::string_view bytes, bool end = true);
  // A whole exchange on a stream of its own.
  H2Answer ask(const Fields& fields, const std::string& body = "");
  // Reads until that stream is over, or the connection is. What comes on others is kept for later.
  H2Answer await(std::uint32_t stream);
  // Reads until there is such a frame; nothing if the connection ends before.
  std::optional<Frame> await_frame(const std::function<bool(const Frame&)>& wanted);
  std::optional<Frame> await_goaway() {
    return await_frame([](const Frame& f) { return f.type == kGoaway; });
  }
  // What the gateway had to say to all that was sent has been read then. False: the connection ended.
  bool round_trip();
  std::uint32_t next_stream() { return std::exchange(next_, next_ + 2); }
  H2Answer& answer(std::uint32_t stream) { return answers_[stream]; }
  std::int64_t window(std::uint32_t stream);
  Stream& raw() { return stream_; }

  // Gives back what came at once; false: only update() does.
  bool automatic = true;
  void update(std::uint32_t stream, std::uint32_t bytes) { send(kWindowUpdate, 0, stream, uint32(bytes)); }

 private:
  std::optional<Frame> read();
  void take(const Frame& frame);
  void take_head(const Frame& frame);
  Stream stream_;
  nghttp2_hd_deflater* deflater_ = nullptr;
  nghttp2_hd_inflater* inflater_ = nullptr;
  std::uint32_t next_ = 1;
  std::map<std::uint32_t, H2Answer> answers_;
  std::int64_t connection_window_ = 65'535;
  std::int64_t initial_window_ = 65'535;
  std::map<std::uint32_t, std::int64_t> windows_;  // less the initial one
};

}  // namespace foreshadow::kinds::http::testing
