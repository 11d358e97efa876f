// One HTTP/2 connection as a client speaks it: requests become bytes, bytes in become answers. nghttp2 does framing,
// HPACK and flow control; floods of frames that do nothing are counted here. No sockets, no coroutines, no clock:
// whoever owns a Mux carries its bytes and its time.
//
// An answer's bytes are held until consume() says that they were passed on, and only then is the instance let send more
// of that answer: a slow client stops its own stream, and no other, since the connection's window is given back as
// bytes come. A request's bytes are not held at all: offer() lends them, and they must stay where they are until
// pending() is 0.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "kinds/http/h2/guard.hpp"
#include "kinds/http/h2client/fields.hpp"
#include "kinds/http/h2client/settings.hpp"

struct nghttp2_session;

namespace foreshadow::kinds::http::h2client {

class Mux;
using h2::ErrorCode;

// Told of everything that changes about its stream. Called from inside receive() and pull(): must not call the Mux,
// only take note.
class StreamOwner {
 public:
  virtual void changed() = 0;

 protected:
  ~StreamOwner() = default;
};

// One request and its answer.
class Stream {
 public:
  // Over: answered in full, given up by either side, or the connection is gone.
  bool closed() const { return closed_; }
  // The instance provably did nothing with the request: it was never sent, refused (REFUSED_STREAM), or is beyond what
  // a GOAWAY says was looked at (RFC 9113, section 8.7).
  bool refused() const { return refused_; }
  // It broke the protocol, or a limit of ours.
  bool spoilt() const { return spoilt_; }
  // The instance has given up this one stream (RST_STREAM), and not the connection.
  bool reset_by_peer() const { return reset_by_peer_; }
  // The head of the final answer is here.
  bool answered() const { return answered_; }
  // Nothing of the answer follows what is in `body`.
  bool ended() const { return ended_; }
  // Offered and not yet taken, in bytes.
  std::size_t pending() const { return pending_; }

  std::vector<std::string> interim;  // heads as text, to be taken out
  std::string head;                  // the final one's
  std::string body;                  // came and was not taken out yet; whoever takes it says consume()
  std::string trailers;              // lines, complete once ended()
  StreamOwner* owner = nullptr;

 private:
  friend class Mux;
  explicit Stream(std::size_t head_bytes_max) : block_(head_bytes_max) {}
  std::int32_t id_ = 0;
  bool closed_ = false;
  bool refused_ = false;
  bool spoilt_ = false;
  bool reset_by_peer_ = false;
  bool answered_ = false;
  bool ended_ = false;
  bool released_ = false;
  bool sent_ = false;      // its head was pulled,
  std::uint64_t at_ = 0;   // from this byte of the connection on
  bool deferred_ = false;  // nghttp2 asked for bytes when there were none
  bool last_ = false;      // nothing follows what is pending
  int interims_ = 0;
  AnswerBlock block_;  // the section that is coming in
  std::vector<std::string_view> pieces_;
  std::size_t piece_ = 0;  // the first that is not yet taken whole
  std::size_t pending_ = 0;
  std::size_t held_ = 0;  // bytes of the answer that came and were not consumed
  FieldList trailers_out_;
};

class Mux {
 public:
  using Time = std::chrono::steady_clock::time_point;
  // `head_bytes_max`: of one header section.
  Mux(const Settings& settings, std::size_t head_bytes_max, Time now);
  ~Mux();
  Mux(const Mux&) = delete;
  Mux& operator=(const Mux&) = delete;

  void receive(std::string_view bytes, Time now);
  // Appends frames until `out` holds about `bytes_max` or there is nothing to send now.
  void pull(std::string& out, std::size_t bytes_max);
  // Everything was said and heard: once pull() gives nothing, the connection is to be closed.
  bool done() const;
  // The instance's first SETTINGS have come: it speaks HTTP/2, and has told its limits.
  bool greeted() const { return greeted_; }
  // It wants no further requests, or cannot be given any.
  bool leaving() const;
  // Why the connection is being ended, if the instance is to blame; else null.
  const char* violation() const { return violation_; }
  // At once, as both sides have it.
  std::size_t streams_max() const;
  bool awaits_ping() const { return awaits_ping_; }
  void ping();

  // Begins a request; `body`: offer() and finish() follow. Null: no further request can be begun here. Must be given
  // back with release().
  Stream* open(const FieldList& fields, bool body);
  void offer(Stream& stream, std::string_view bytes);
  // Nothing follows what was offered but these trailers.
  void finish(Stream& stream, std::string_view trailer_lines);
  // So much of the answer was passed on: the instance may send as much again.
  void consume(Stream& stream, std::size_t bytes);
  // Nobody works for it any more; what was offered is withdrawn, and an answer that goes on is given up. The reference
  // is void afterwards.
  void release(Stream& stream) noexcept;

  // No further requests from us either.
  void go_away();
  // The connection is gone, and of all that was pulled `written` bytes went out: closes every stream.
  void abandon(std::uint64_t written);

 private:
  struct Callbacks;  // nghttp2's, which know this class
  friend struct Callbacks;
  void resume(Stream& stream);
  void close(Stream& stream);
  // Looks at the headers of frames, also of those that nghttp2 passes over in silence.
  void count(std::string_view bytes);
  void count_frame(std::uint8_t type, std::uint8_t flags, std::size_t length);
  void spend(double frames);
  void earn(double frames);
  void terminate(const char* why);

  const Settings settings_;
  const std::size_t head_bytes_max_;
  nghttp2_session* session_ = nullptr;
  std::unordered_map<std::int32_t, std::unique_ptr<Stream>> streams_;
  std::string* out_ = nullptr;  // while pull() runs
  std::size_t out_bytes_max_ = 0;
  std::uint64_t pulled_ = 0;  // before the pull() that runs
  std::size_t out_before_ = 0;
  std::array<unsigned char, 9> header_{};
  std::size_t header_bytes_ = 0;
  std::size_t payload_left_ = 0;
  double idle_left_;  // frames that do nothing
  Time refilled_at_;
  const char* violation_ = nullptr;
  bool greeted_ = false;
  bool awaits_ping_ = false;
  bool goaway_ = false;  // said or heard
  bool broken_ = false;  // nghttp2 gave up, or the connection is gone
};

}  // namespace foreshadow::kinds::http::h2client
