// One HTTP/2 connection as a server speaks it: bytes in become requests and their bodies, answers become bytes. nghttp2
// does framing, HPACK and flow control; FrameGuard stands before it. No sockets, no coroutines, no clock: whoever owns
// a Mux carries its bytes and its time.
//
// A body's bytes are held until consume() says that the service took them, and only then is the client let send more:
// what waits here never passes the windows of Settings. An answer's bytes are lent by offer(), and must stay where they
// are until pending() is 0, or until keep() has copied them.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kinds/http/h2/fields.hpp"
#include "kinds/http/h2/guard.hpp"
#include "kinds/http/h2/settings.hpp"

struct nghttp2_session;

namespace foreshadow::kinds::http::h2 {

class Mux;

// Told of everything that changes about its stream: bytes or the end of the body came, offered bytes were taken, the
// stream is over, or the connection is pressed() for room. Called from inside receive() and pull(): must not call the
// Mux, only take note.
class StreamOwner {
 public:
  virtual void changed() = 0;

 protected:
  ~StreamOwner() = default;
};

// One request and its answer.
class Stream {
 public:
  explicit Stream(const Limits& limits) : head(limits), trailers(limits) {}
  std::int32_t id() const { return id_; }
  // Over: answered in full, given up by the client, or its connection is gone. Nothing more can be sent or will come.
  bool closed() const { return closed_; }
  // Nothing of the request follows what is in `body`.
  bool ended() const { return ended_; }
  // Offered and not yet taken, in bytes.
  std::size_t pending() const { return pending_; }

  FieldBlock head;
  FieldBlock trailers;  // complete once ended()
  std::string body;     // came and was not taken out yet; whoever takes it says consume()
  StreamOwner* owner = nullptr;

 private:
  friend class Mux;
  // For the next request: as new, but for some of the room that its texts have made.
  void clear();

  std::int32_t id_ = 0;
  std::size_t place_ = 0;  // among the mux's
  bool closed_ = false;
  bool ended_ = false;
  bool released_ = false;
  bool answered_ = false;
  bool deferred_ = false;  // nghttp2 asked for bytes when there were none
  bool last_ = false;      // nothing follows what is pending
  std::vector<std::string_view> pieces_;
  std::size_t piece_ = 0;  // the first that is not yet taken whole
  std::size_t pending_ = 0;
  std::size_t held_ = 0;  // bytes of the request that came and were not consumed
  std::size_t kept_ = 0;  // of own_, that count as kept and were not taken
  FrameGuard::Time take_by_{};  // once released
  FieldList trailers_out_;
  std::string trailer_lines_;
  std::string own_;  // an answer of the gateway's own, or what was kept of one
};

class Mux {
 public:
  using Time = FrameGuard::Time;
  // `limits` outlives it. The client's preface has been taken off already.
  Mux(const Settings& settings, const Limits& limits, Time now);
  ~Mux();
  Mux(const Mux&) = delete;
  Mux& operator=(const Mux&) = delete;

  void receive(std::string_view bytes, Time now);
  // Requests whose head is complete since the last call, each given once. Each must be given back with release().
  std::vector<Stream*> take_fresh();
  // Appends frames until `out` holds about `bytes_max` or there is nothing to send now.
  void pull(std::string& out, std::size_t bytes_max);
  // Control frames and heads that wait to be pulled. A client that makes many and takes none should not be read.
  std::size_t queued() const;
  // Everything was said: once pull() gives nothing, the connection is to be closed.
  bool done() const;
  bool in_header_block() const { return guard_.in_header_block(); }
  // The client's first SETTINGS have come.
  bool greeted() const { return greeted_; }
  // Why the connection is being ended, if the client is to blame.
  const std::optional<FrameGuard::Violation>& violation() const { return guard_.violation(); }
  // Bodies fill so much of the connection's window that waiting for more of one could wait for ever.
  bool pressed() const;
  // Streams that somebody still works for, or that are still open.
  std::size_t streams() const { return streams_.size(); }

  void interim(Stream& stream, int status, const FieldList& fields);
  // The head of the answer; `body`: offer() and finish() follow.
  void answer(Stream& stream, int status, const FieldList& fields, bool body);
  // A whole answer of the gateway's own.
  void answer_whole(Stream& stream, int status, const FieldList& fields, std::string body);
  void offer(Stream& stream, std::string_view bytes);
  // Copies what is pending, if there is room among what is kept of other answers: from then on nobody has to keep what
  // was offered, of which there is to be no more. False: there is no room, or the stream is over.
  bool keep(Stream& stream);
  // Nothing follows what was offered but these trailers.
  void finish(Stream& stream, std::string trailer_lines);
  void reset(Stream& stream, ErrorCode code);
  // The service has taken so much of the body: the client may send as much again.
  void consume(Stream& stream, std::size_t bytes);
  // Nobody works for it any more; what was offered and not kept is withdrawn. The reference is void afterwards.
  // `take_by`: reset_left() waits so long for its client to take the rest.
  void release(Stream& stream, Time take_by);
  // Resets the streams that were released and whose clients have not taken their answers in time. True: some are left
  // to be looked at again.
  bool reset_left(Time now);
  // Gives back what was kept for requests that may come.
  void tidy();

  // No further requests: GOAWAY with the last that will be answered (RFC 9113, section 6.8).
  void go_away();
  void terminate(ErrorCode code, const char* why);
  // The connection is gone: closes every stream.
  void abandon();

 private:
  struct Callbacks;  // nghttp2's, which know this class
  friend struct Callbacks;
  void feed(std::string_view bytes);
  void submit_head(Stream& stream, int status, const FieldList& fields, bool body);
  void resume(Stream& stream);
  void withdraw(Stream& stream);
  Stream& make(std::int32_t id);
  void close(Stream& stream);
  void erase(Stream& stream);
  // Into submitted_.
  void gather(std::string_view status, const FieldList& fields);

  const Settings settings_;
  const Limits& limits_;
  FrameGuard guard_;
  nghttp2_session* session_ = nullptr;
  std::vector<std::unique_ptr<Stream>> streams_;
  std::vector<std::unique_ptr<Stream>> spare_;  // to be renewed
  Stream* in_block_ = nullptr;                  // whose header block is coming in
  struct Submitted;
  std::unique_ptr<Submitted> submitted_;  // room for a list of fields
  std::vector<Stream*> fresh_;
  std::string* out_ = nullptr;  // while pull() runs
  std::size_t out_bytes_max_ = 0;
  std::size_t held_ = 0;  // of all streams
  std::size_t kept_ = 0;
  bool greeted_ = false;
  bool broken_ = false;  // nghttp2 gave up, or the connection is gone
  bool goaway_ = false;
};

}  // namespace foreshadow::kinds::http::h2
