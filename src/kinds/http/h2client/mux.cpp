#include "kinds/http/h2client/mux.hpp"

#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <new>

#include "base/assert.hpp"

namespace foreshadow::kinds::http::h2client {
namespace {

// As with HTTP/1.1.
constexpr int kInterimsMax = 16;
constexpr int kContinuationsMax = 8;
// It is given back as bytes come, so this only bounds what is on its way.
constexpr std::int32_t kConnectionWindow = 16 << 20;
// What earns idle frames: an answer's head, a frame of its body, a frame of a request's (the instance sends window
// updates, and gRPC a ping, for it).
constexpr double kHeadEarns = 8;
constexpr double kBodyEarns = 1;
constexpr double kRequestEarns = 4;
// SETTINGS are the dearest: each is applied and acknowledged.
constexpr double kSettingsCost = 4;

const std::uint8_t* bytes_of(std::string_view text) { return reinterpret_cast<const std::uint8_t*>(text.data()); }

std::vector<nghttp2_nv> fields_of(const FieldList& list) {
  std::vector<nghttp2_nv> fields;
  fields.reserve(list.size());
  for (const auto& [name, value] : list) {
    // Many clients share the connection's table; secrets are not to be guessed at by how well they pack.
    const bool secret = name == "authorization" || name == "cookie" || name == "proxy-authorization";
    fields.push_back({const_cast<std::uint8_t*>(bytes_of(name)), const_cast<std::uint8_t*>(bytes_of(value)),
                      name.size(), value.size(),
                      static_cast<std::uint8_t>(secret ? NGHTTP2_NV_FLAG_NO_INDEX : NGHTTP2_NV_FLAG_NONE)});
  }
  return fields;
}

}  // namespace

struct Mux::Callbacks {
  static Mux& mux(void* user) { return *static_cast<Mux*>(user); }
  static Stream* stream(nghttp2_session* session, std::int32_t id) {
    return static_cast<Stream*>(nghttp2_session_get_stream_user_data(session, id));
  }

  static int on_begin_headers(nghttp2_session* session, const nghttp2_frame* frame, void* user) {
    if (auto* const s = stream(session, frame->hd.stream_id)) s->block_ = AnswerBlock(mux(user).head_bytes_max_);
    return 0;
  }

  static int on_header(nghttp2_session* session, const nghttp2_frame* frame, const std::uint8_t* name,
                       std::size_t name_size, const std::uint8_t* value, std::size_t value_size, std::uint8_t, void*) {
    auto* const s = stream(session, frame->hd.stream_id);
    if (!s) return 0;
    s->block_.add({reinterpret_cast<const char*>(name), name_size}, {reinterpret_cast<const char*>(value), value_size});
    // A few bytes of HPACK can mean megabytes: no more of it is looked at, and the stream is over.
    if (!s->block_.too_large()) return 0;
    s->spoilt_ = true;
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  }

  static int on_invalid_header(nghttp2_session* session, const nghttp2_frame* frame, const std::uint8_t*, std::size_t,
                               const std::uint8_t*, std::size_t, std::uint8_t, void*) {
    if (auto* const s = stream(session, frame->hd.stream_id)) s->spoilt_ = true;
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  }

  static int on_invalid_frame(nghttp2_session* session, const nghttp2_frame* frame, int, void*) {
    if (auto* const s = stream(session, frame->hd.stream_id)) s->spoilt_ = true;
    return 0;
  }

  static void take_head(Mux& self, Stream& s) {
    if (s.answered_) {
      s.trailers = s.block_.trailer_text();
    } else if (s.block_.status() >= 200) {
      s.head = s.block_.head_text();
      s.answered_ = true;
      self.earn(kHeadEarns);
    } else if (++s.interims_ > kInterimsMax) {
      s.spoilt_ = true;
      nghttp2_submit_rst_stream(self.session_, NGHTTP2_FLAG_NONE, s.id_, NGHTTP2_PROTOCOL_ERROR);
    } else {
      s.interim.push_back(s.block_.head_text());
    }
  }

  static int on_frame_recv(nghttp2_session* session, const nghttp2_frame* frame, void* user) {
    auto& self = mux(user);
    switch (frame->hd.type) {
      case NGHTTP2_SETTINGS:
        if (!(frame->hd.flags & NGHTTP2_FLAG_ACK)) self.greeted_ = true;
        return 0;
      case NGHTTP2_PING:
        if (frame->hd.flags & NGHTTP2_FLAG_ACK) self.awaits_ping_ = false;
        return 0;
      case NGHTTP2_GOAWAY:
        self.goaway_ = true;
        return 0;
      default:
        break;
    }
    auto* const s = stream(session, frame->hd.stream_id);
    if (!s) return 0;
    if (frame->hd.type == NGHTTP2_RST_STREAM) s->reset_by_peer_ = true;
    if (frame->hd.type == NGHTTP2_HEADERS) take_head(self, *s);
    if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) return 0;
    if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) s->ended_ = true;
    if (s->owner) s->owner->changed();
    return 0;
  }

  static int on_data(nghttp2_session* session, std::uint8_t, std::int32_t id, const std::uint8_t* data,
                     std::size_t size, void*) {
    auto* const s = stream(session, id);
    if (!s || s->released_) return nghttp2_session_consume(session, id, size);
    s->body.append(reinterpret_cast<const char*>(data), size);
    s->held_ += size;
    if (s->owner) s->owner->changed();
    return nghttp2_session_consume_connection(session, size);
  }

  static int on_close(nghttp2_session* session, std::int32_t id, std::uint32_t code, void* user) {
    auto* const s = stream(session, id);
    if (!s) return 0;
    // What GOAWAY leaves out, and what came too late to be sent at all, ends with this code too. A stream that was
    // answered was worked on, whatever it says.
    if (code == NGHTTP2_REFUSED_STREAM && !s->answered_ && s->interims_ == 0) s->refused_ = true;
    mux(user).close(*s);
    return 0;
  }

  static int on_frame_sent(nghttp2_session* session, const nghttp2_frame* frame, void* user) {
    auto& self = mux(user);
    if (frame->hd.type == NGHTTP2_DATA) self.earn(kRequestEarns);
    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST) return 0;
    self.earn(kRequestEarns);
    if (auto* const s = stream(session, frame->hd.stream_id)) {
      s->sent_ = true;
      // Called before its bytes are handed out.
      s->at_ = self.pulled_ + self.out_->size() - self.out_before_;
    }
    return 0;
  }

  static ssize_t on_read(nghttp2_session* session, std::int32_t id, std::uint8_t*, std::size_t length,
                         std::uint32_t* flags, nghttp2_data_source* source, void*) {
    auto& s = *static_cast<Stream*>(source->ptr);
    if (s.pending_ == 0 && !s.last_) {
      s.deferred_ = true;
      return NGHTTP2_ERR_DEFERRED;
    }
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    const auto n = std::min(length, s.pending_);
    if (!s.last_ || n < s.pending_) return static_cast<ssize_t>(n);
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (!s.trailers_out_.empty()) {
      *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
      const auto fields = fields_of(s.trailers_out_);
      if (nghttp2_submit_trailer(session, id, fields.data(), fields.size()) != 0)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }
    return static_cast<ssize_t>(n);
  }

  static int on_send_data(nghttp2_session*, nghttp2_frame*, const std::uint8_t* head, std::size_t length,
                          nghttp2_data_source* source, void* user) {
    auto& self = mux(user);
    auto& s = *static_cast<Stream*>(source->ptr);
    self.out_->append(reinterpret_cast<const char*>(head), 9);
    s.pending_ -= length;
    while (length > 0) {
      auto& piece = s.pieces_[s.piece_];
      const auto n = std::min(length, piece.size());
      self.out_->append(piece.substr(0, n));
      piece.remove_prefix(n);
      length -= n;
      if (piece.empty()) ++s.piece_;
    }
    if (s.pending_ == 0) {
      s.pieces_.clear();
      s.piece_ = 0;
      if (s.owner) s.owner->changed();
    }
    return self.out_->size() < self.out_bytes_max_ ? 0 : NGHTTP2_ERR_PAUSE;
  }
};

Mux::Mux(const Settings& settings, std::size_t head_bytes_max, Time now)
    : settings_(settings), head_bytes_max_(head_bytes_max), idle_left_(settings.idle_frames_max), refilled_at_(now) {
  nghttp2_session_callbacks* callbacks = nullptr;
  nghttp2_option* option = nullptr;
  if (nghttp2_session_callbacks_new(&callbacks) != 0 || nghttp2_option_new(&option) != 0) throw std::bad_alloc();
  nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, Callbacks::on_begin_headers);
  nghttp2_session_callbacks_set_on_header_callback(callbacks, Callbacks::on_header);
  nghttp2_session_callbacks_set_on_invalid_header_callback(callbacks, Callbacks::on_invalid_header);
  nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks, Callbacks::on_invalid_frame);
  nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, Callbacks::on_frame_recv);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, Callbacks::on_data);
  nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, Callbacks::on_close);
  nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, Callbacks::on_frame_sent);
  nghttp2_session_callbacks_set_send_data_callback(callbacks, Callbacks::on_send_data);
  nghttp2_option_set_no_auto_window_update(option, 1);
  nghttp2_option_set_no_closed_streams(option, 1);
  nghttp2_option_set_max_continuations(option, kContinuationsMax);
  // The count of idle frames ends a flood in good time; this is for what it could not have seen.
  nghttp2_option_set_max_outbound_ack(option, 2 * std::size_t{settings.idle_frames_max} + 1000);
  // Until the instance has told how many it takes, which is awaited; then its word counts.
  nghttp2_option_set_peer_max_concurrent_streams(option, settings.streams_max);
  const int made = nghttp2_session_client_new2(&session_, callbacks, this, option);
  nghttp2_option_del(option);
  nghttp2_session_callbacks_del(callbacks);
  if (made != 0) throw std::bad_alloc();
  const nghttp2_settings_entry entries[] = {
      {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, settings.stream_window},
      {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, static_cast<std::uint32_t>(head_bytes_max)},
  };
  const bool refused = nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, entries, std::size(entries)) != 0 ||
                       nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, 0, kConnectionWindow) != 0;
  FS_ASSERT(!refused);
}

Mux::~Mux() { nghttp2_session_del(session_); }

void Mux::receive(std::string_view bytes, Time now) {
  if (broken_ || bytes.empty()) return;
  const auto seconds = std::chrono::duration<double>(now - refilled_at_).count();
  refilled_at_ = now;
  earn(seconds * settings_.idle_frames_max / 10.0);
  count(bytes);
  // It takes everything, as no callback asks it to pause. What is left is abandon()'s, who knows what was written.
  if (nghttp2_session_mem_recv(session_, bytes_of(bytes), bytes.size()) < 0 && !violation_)
    violation_ = "what came is not HTTP/2";
}

void Mux::pull(std::string& out, std::size_t bytes_max) {
  if (broken_) return;
  out_ = &out;
  out_bytes_max_ = bytes_max;
  out_before_ = out.size();
  while (out.size() < bytes_max) {
    const auto before = out.size();
    const std::uint8_t* data = nullptr;
    const auto n = nghttp2_session_mem_send(session_, &data);
    if (n < 0) {
      if (!violation_) violation_ = "no frame could be made";
      break;
    }
    out.append(reinterpret_cast<const char*>(data), static_cast<std::size_t>(n));
    if (out.size() == before) break;
  }
  pulled_ += out.size() - out_before_;
  out_ = nullptr;
}

bool Mux::done() const {
  return broken_ || (!nghttp2_session_want_read(session_) && !nghttp2_session_want_write(session_));
}

bool Mux::leaving() const {
  return broken_ || goaway_ || violation_ || nghttp2_session_check_request_allowed(session_) == 0;
}

std::size_t Mux::streams_max() const {
  return std::min(settings_.streams_max,
                  nghttp2_session_get_remote_settings(session_, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS));
}

void Mux::ping() {
  if (broken_) return;
  awaits_ping_ = true;
  nghttp2_submit_ping(session_, NGHTTP2_FLAG_NONE, nullptr);
}

Stream* Mux::open(const FieldList& list, bool body) {
  if (leaving()) return nullptr;
  std::unique_ptr<Stream> made(new Stream(head_bytes_max_));
  made->last_ = !body;
  const auto fields = fields_of(list);
  nghttp2_data_provider provider{{.ptr = made.get()}, Callbacks::on_read};
  const auto id =
      nghttp2_submit_request(session_, nullptr, fields.data(), fields.size(), body ? &provider : nullptr, made.get());
  if (id < 0) return nullptr;
  made->id_ = id;
  return (streams_[id] = std::move(made)).get();
}

void Mux::offer(Stream& stream, std::string_view bytes) {
  if (stream.closed_ || bytes.empty()) return;
  stream.pieces_.push_back(bytes);
  stream.pending_ += bytes.size();
  resume(stream);
}

void Mux::finish(Stream& stream, std::string_view trailer_lines) {
  if (stream.closed_ || stream.last_) return;
  stream.trailers_out_ = trailer_fields(trailer_lines);
  stream.last_ = true;
  resume(stream);
}

void Mux::resume(Stream& stream) {
  if (!stream.deferred_ || broken_) return;
  stream.deferred_ = false;
  nghttp2_session_resume_data(session_, stream.id_);
}

void Mux::consume(Stream& stream, std::size_t bytes) {
  stream.held_ -= bytes;
  if (!broken_ && !stream.closed_) nghttp2_session_consume_stream(session_, stream.id_, bytes);
}

void Mux::release(Stream& stream) noexcept {
  stream.pieces_.clear();
  stream.piece_ = stream.pending_ = 0;
  stream.owner = nullptr;
  stream.released_ = true;
  // A request that is withdrawn midway must not look as if it ended there.
  stream.last_ = false;
  if (stream.closed_) {
    streams_.erase(stream.id_);
    return;
  }
  consume(stream, stream.held_);
  stream.body = std::string();
  if (!broken_) nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, stream.id_, NGHTTP2_CANCEL);
}

void Mux::close(Stream& stream) {
  stream.closed_ = true;
  if (stream.released_)
    streams_.erase(stream.id_);
  else if (stream.owner)
    stream.owner->changed();
}

void Mux::go_away() {
  if (broken_ || goaway_) return;
  goaway_ = true;
  nghttp2_submit_goaway(session_, NGHTTP2_FLAG_NONE, 0, NGHTTP2_NO_ERROR, nullptr, 0);
}

void Mux::count(std::string_view bytes) {
  for (;;) {
    const auto n = std::min(payload_left_, bytes.size());
    payload_left_ -= n;
    bytes.remove_prefix(n);
    for (; header_bytes_ < header_.size() && !bytes.empty(); bytes.remove_prefix(1))
      header_[header_bytes_++] = static_cast<unsigned char>(bytes.front());
    if (header_bytes_ < header_.size()) return;
    header_bytes_ = 0;
    payload_left_ = std::size_t{header_[0]} << 16 | std::size_t{header_[1]} << 8 | header_[2];
    count_frame(header_[3], header_[4], payload_left_);
  }
}

void Mux::count_frame(std::uint8_t type, std::uint8_t flags, std::size_t length) {
  if (type == NGHTTP2_DATA && length > 0) return earn(kBodyEarns);
  if (type == NGHTTP2_DATA && (flags & NGHTTP2_FLAG_END_STREAM)) return;
  // A head is earned once it is whole; interim ones, and trailers of streams that are over, come at this price.
  spend(type == NGHTTP2_SETTINGS ? kSettingsCost : 1);
}

void Mux::spend(double frames) {
  idle_left_ -= frames;
  if (idle_left_ < 0) terminate("too many frames that do nothing");
}

void Mux::earn(double frames) { idle_left_ = std::min<double>(settings_.idle_frames_max, idle_left_ + frames); }

void Mux::terminate(const char* why) {
  if (broken_ || violation_) return;
  violation_ = why;
  nghttp2_session_terminate_session(session_, NGHTTP2_ENHANCE_YOUR_CALM);
}

void Mux::abandon(std::uint64_t written) {
  if (broken_) return;
  broken_ = true;
  std::vector<Stream*> all;
  all.reserve(streams_.size());
  for (const auto& [id, stream] : streams_) all.push_back(stream.get());
  for (auto* stream : all) {
    if (stream->closed_) continue;
    const bool begun = stream->answered_ || stream->interims_ > 0;
    if (!begun && (!stream->sent_ || stream->at_ >= written)) stream->refused_ = true;
    close(*stream);
  }
}

}  // namespace foreshadow::kinds::http::h2client
