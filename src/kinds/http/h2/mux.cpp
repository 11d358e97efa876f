#include "kinds/http/h2/mux.hpp"

#include <fmt/format.h>
#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <new>
#include <utility>

#include "base/assert.hpp"

namespace foreshadow::kinds::http::h2 {
namespace {

// Cut off a client that sends headers without end, although it was told the limit and none of the rest is kept.
constexpr std::size_t kListFactor = 4;
// What travels is packed: seldom longer than what it means, and never by much.
constexpr std::size_t kBlockFactor = 2;

// Streams that are kept for the next requests.
constexpr std::size_t kSpareMax = 8;
// Of all streams together: what a gathering for one write is, too.
constexpr std::size_t kKeptBytesMax = 64 << 10;

const std::uint8_t* bytes_of(std::string_view text) { return reinterpret_cast<const std::uint8_t*>(text.data()); }

nghttp2_nv field(std::string_view name, std::string_view value) {
  return {const_cast<std::uint8_t*>(bytes_of(name)), const_cast<std::uint8_t*>(bytes_of(value)), name.size(),
          value.size(), NGHTTP2_NV_FLAG_NONE};
}

}  // namespace

struct Mux::Submitted {
  std::vector<nghttp2_nv> nv;
};

struct Mux::Callbacks {
  static Mux& mux(void* user) { return *static_cast<Mux*>(user); }
  static Stream* stream(nghttp2_session* session, std::int32_t id) {
    return static_cast<Stream*>(nghttp2_session_get_stream_user_data(session, id));
  }

  static int on_begin_headers(nghttp2_session* session, const nghttp2_frame* frame, void* user) {
    if (frame->headers.cat != NGHTTP2_HCAT_REQUEST) return 0;
    auto& self = mux(user);
    const auto id = frame->hd.stream_id;
    // Streams that the client gave up are still at work for a moment, and count: or it could have any number at work.
    if (self.streams_.size() >= 2 * std::size_t{self.settings_.streams_max})
      return nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, id, NGHTTP2_REFUSED_STREAM);
    self.in_block_ = &self.make(id);
    return nghttp2_session_set_stream_user_data(session, id, self.in_block_);
  }

  static int on_header(nghttp2_session* session, const nghttp2_frame* frame, const std::uint8_t* name,
                       std::size_t name_size, const std::uint8_t* value, std::size_t value_size, std::uint8_t,
                       void* user) {
    auto& self = mux(user);
    const auto id = frame->hd.stream_id;
    auto* const s = self.in_block_ && self.in_block_->id_ == id ? self.in_block_ : stream(session, id);
    if (!s) return 0;
    auto& block = frame->headers.cat == NGHTTP2_HCAT_REQUEST ? s->head : s->trailers;
    block.add({reinterpret_cast<const char*>(name), name_size}, {reinterpret_cast<const char*>(value), value_size});
    // A few bytes of HPACK can mean megabytes.
    if (block.list_bytes() > kListFactor * self.limits_.head_bytes_max)
      self.terminate(ErrorCode::enhance_your_calm, "header list too large");
    return 0;
  }

  static int on_invalid_header(nghttp2_session* session, const nghttp2_frame* frame, const std::uint8_t*, std::size_t,
                               const std::uint8_t*, std::size_t, std::uint8_t, void*) {
    nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id, NGHTTP2_PROTOCOL_ERROR);
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  }

  static int on_frame_recv(nghttp2_session* session, const nghttp2_frame* frame, void* user) {
    auto& self = mux(user);
    if (frame->hd.type == NGHTTP2_SETTINGS) self.greeted_ = true;
    if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) return 0;
    auto* const s = stream(session, frame->hd.stream_id);
    if (!s) return 0;
    if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) s->ended_ = true;
    if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST)
      self.fresh_.push_back(s);
    else if (s->ended_ && s->owner)
      s->owner->changed();
    return 0;
  }

  static int on_data(nghttp2_session* session, std::uint8_t, std::int32_t id, const std::uint8_t* data,
                     std::size_t size, void* user) {
    auto* const s = stream(session, id);
    if (!s || s->released_) return nghttp2_session_consume(session, id, size);
    auto& self = mux(user);
    const bool was_pressed = self.pressed();
    s->body.append(reinterpret_cast<const char*>(data), size);
    s->held_ += size;
    self.held_ += size;
    if (s->owner) s->owner->changed();
    if (self.pressed() && !was_pressed)
      for (const auto& other : self.streams_)
        if (other->owner && other.get() != s) other->owner->changed();
    return 0;
  }

  static int on_close(nghttp2_session* session, std::int32_t id, std::uint32_t, void* user) {
    if (auto* const s = stream(session, id)) mux(user).close(*s);
    return 0;
  }

  static int on_frame_sent(nghttp2_session* session, const nghttp2_frame* frame, void* user) {
    auto& self = mux(user);
    if (frame->hd.type == NGHTTP2_RST_STREAM)
      self.guard_.sent_reset(static_cast<std::uint32_t>(frame->hd.stream_id), ErrorCode{frame->rst_stream.error_code});
    if (frame->hd.type == NGHTTP2_DATA) self.guard_.sent_data(frame->hd.length);
    if (frame->hd.type != NGHTTP2_DATA && frame->hd.type != NGHTTP2_HEADERS) return 0;
    // RFC 9113, section 8.1: answered in full before the request was; the rest of it is not wanted.
    auto* const s = stream(session, frame->hd.stream_id);
    if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) && s && !s->ended_)
      return nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id, NGHTTP2_NO_ERROR);
    return 0;
  }

  static ssize_t on_read(nghttp2_session* session, std::int32_t id, std::uint8_t*, std::size_t length,
                         std::uint32_t* flags, nghttp2_data_source* source, void* user) {
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
      auto& self = mux(user);
      self.gather({}, s.trailers_out_);
      if (nghttp2_submit_trailer(session, id, self.submitted_->nv.data(), self.submitted_->nv.size()) != 0)
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
      self.kept_ -= std::exchange(s.kept_, 0);
      if (s.owner) s.owner->changed();
    }
    return self.out_->size() < self.out_bytes_max_ ? 0 : NGHTTP2_ERR_PAUSE;
  }
};

Mux::Mux(const Settings& settings, const Limits& limits, Time now)
    : settings_(settings),
      limits_(limits),
      guard_(settings, std::max<std::size_t>(kBlockFactor * limits.head_bytes_max, 64 << 10), now),
      submitted_(std::make_unique<Submitted>()) {
  nghttp2_session_callbacks* callbacks = nullptr;
  nghttp2_option* option = nullptr;
  if (nghttp2_session_callbacks_new(&callbacks) != 0 || nghttp2_option_new(&option) != 0) throw std::bad_alloc();
  nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, Callbacks::on_begin_headers);
  nghttp2_session_callbacks_set_on_header_callback(callbacks, Callbacks::on_header);
  nghttp2_session_callbacks_set_on_invalid_header_callback(callbacks, Callbacks::on_invalid_header);
  nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, Callbacks::on_frame_recv);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, Callbacks::on_data);
  nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, Callbacks::on_close);
  nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, Callbacks::on_frame_sent);
  nghttp2_session_callbacks_set_send_data_callback(callbacks, Callbacks::on_send_data);
  nghttp2_option_set_no_auto_window_update(option, 1);
  nghttp2_option_set_no_recv_client_magic(option, 1);
  // The guard remembers closed streams, for less.
  nghttp2_option_set_no_closed_streams(option, 1);
  // The guard ends a flood in good time; this is for what it could not have seen.
  nghttp2_option_set_max_outbound_ack(option, 2 * std::size_t{settings.idle_frames_max} + 1000);
  const int made = nghttp2_session_server_new2(&session_, callbacks, this, option);
  nghttp2_option_del(option);
  nghttp2_session_callbacks_del(callbacks);
  if (made != 0) throw std::bad_alloc();
  const nghttp2_settings_entry entries[] = {
      {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, settings.streams_max},
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, settings.stream_window},
      {NGHTTP2_SETTINGS_MAX_FRAME_SIZE, settings.frame_bytes_max},
      {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, static_cast<std::uint32_t>(limits.head_bytes_max)},
  };
  const bool refused = nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, entries, std::size(entries)) != 0 ||
                       nghttp2_session_set_local_window_size(
                           session_, NGHTTP2_FLAG_NONE, 0, static_cast<std::int32_t>(settings.connection_window)) != 0;
  // Options were checked when they were read.
  FS_ASSERT(!refused);
}

Mux::~Mux() { nghttp2_session_del(session_); }

void Mux::receive(std::string_view bytes, Time now) {
  if (broken_) return;
  feed(bytes.substr(0, guard_.pass(bytes, now)));
  if (const auto& found = guard_.violation()) terminate(found->code, found->why);
}

void Mux::feed(std::string_view bytes) {
  if (bytes.empty()) return;
  // It takes everything, as no callback asks it to pause.
  if (nghttp2_session_mem_recv(session_, bytes_of(bytes), bytes.size()) < 0) abandon();
}

std::vector<Stream*> Mux::take_fresh() {
  std::vector<Stream*> fresh;
  fresh.reserve(fresh_.size());
  for (auto* stream : fresh_) {
    // Given up before anybody began.
    if (stream->closed_)
      release(*stream, Time::max());
    else
      fresh.push_back(stream);
  }
  fresh_.clear();
  return fresh;
}

void Mux::pull(std::string& out, std::size_t bytes_max) {
  if (broken_) return;
  out_ = &out;
  out_bytes_max_ = bytes_max;
  while (out.size() < bytes_max) {
    const bool known = guard_.violation().has_value();
    const auto before = out.size();
    const std::uint8_t* data = nullptr;
    const auto n = nghttp2_session_mem_send(session_, &data);
    if (n < 0) {
      abandon();
      break;
    }
    out.append(reinterpret_cast<const char*>(data), static_cast<std::size_t>(n));
    // What we send counts too, and its client may never send again.
    if (const auto& found = guard_.violation(); found && !known)
      terminate(found->code, found->why);
    else if (out.size() == before)
      break;
  }
  out_ = nullptr;
}

std::size_t Mux::queued() const { return nghttp2_session_get_outbound_queue_size(session_); }

bool Mux::done() const {
  return broken_ || (!nghttp2_session_want_read(session_) && !nghttp2_session_want_write(session_));
}

bool Mux::pressed() const { return held_ >= std::size_t{settings_.connection_window} / 4 * 3; }

void Mux::gather(std::string_view status, const FieldList& fields) {
  auto& nv = submitted_->nv;
  nv.clear();
  if (!status.empty()) nv.push_back(field(":status", status));
  for (const auto& [name, value] : fields) nv.push_back(field(name, value));
}

void Mux::submit_head(Stream& stream, int status, const FieldList& fields, bool body) {
  const auto code = fmt::format_int(status);
  gather({code.data(), code.size()}, fields);
  const auto& nv = submitted_->nv;
  nghttp2_data_provider provider{{.ptr = &stream}, Callbacks::on_read};
  if (nghttp2_submit_response(session_, stream.id_, nv.data(), nv.size(), body ? &provider : nullptr) != 0)
    terminate(ErrorCode::internal_error, "an answer could not be sent");
}

void Mux::interim(Stream& stream, int status, const FieldList& fields) {
  if (stream.closed_ || broken_) return;
  const auto code = fmt::format_int(status);
  gather({code.data(), code.size()}, fields);
  const auto& nv = submitted_->nv;
  // Nothing is lost without it.
  nghttp2_submit_headers(session_, NGHTTP2_FLAG_NONE, stream.id_, nullptr, nv.data(), nv.size(), nullptr);
}

void Mux::answer(Stream& stream, int status, const FieldList& fields, bool body) {
  if (stream.closed_ || broken_) return;
  FS_ASSERT(!stream.answered_);
  stream.answered_ = true;
  stream.last_ = !body;
  submit_head(stream, status, fields, body);
}

void Mux::answer_whole(Stream& stream, int status, const FieldList& fields, std::string body) {
  answer(stream, status, fields, !body.empty());
  if (body.empty() || stream.closed_) return;
  stream.own_ = std::move(body);
  offer(stream, stream.own_);
  finish(stream, {});
}

void Mux::offer(Stream& stream, std::string_view bytes) {
  if (stream.closed_ || bytes.empty()) return;
  stream.pieces_.push_back(bytes);
  stream.pending_ += bytes.size();
  resume(stream);
}

bool Mux::keep(Stream& stream) {
  if (stream.pending_ == 0) return true;
  if (stream.closed_ || kept_ + stream.pending_ > kKeptBytesMax) return false;
  kept_ += stream.pending_;
  stream.kept_ = stream.pending_;
  stream.own_.reserve(stream.pending_);
  for (auto i = stream.piece_; i < stream.pieces_.size(); ++i) stream.own_ += stream.pieces_[i];
  stream.pieces_.assign(1, stream.own_);
  stream.piece_ = 0;
  return true;
}

void Mux::finish(Stream& stream, std::string trailer_lines) {
  if (stream.closed_) return;
  stream.trailer_lines_ = std::move(trailer_lines);
  stream.trailers_out_ = trailer_fields(stream.trailer_lines_, limits_);
  stream.last_ = true;
  resume(stream);
}

void Mux::resume(Stream& stream) {
  if (!stream.deferred_ || broken_) return;
  stream.deferred_ = false;
  nghttp2_session_resume_data(session_, stream.id_);
}

void Mux::reset(Stream& stream, ErrorCode code) {
  withdraw(stream);
  if (stream.closed_ || broken_) return;
  nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, stream.id_, static_cast<std::uint32_t>(code));
}

void Mux::consume(Stream& stream, std::size_t bytes) {
  FS_ASSERT(bytes <= stream.held_);
  stream.held_ -= bytes;
  held_ -= bytes;
  if (broken_) return;
  // A stream that is over is let go by itself; the connection's window is wanted back all the same.
  if (stream.closed_)
    nghttp2_session_consume_connection(session_, bytes);
  else
    nghttp2_session_consume(session_, stream.id_, bytes);
}

void Mux::withdraw(Stream& stream) {
  // An answer of our own lives as long as its stream.
  if (!stream.own_.empty()) return;
  stream.pieces_.clear();
  stream.piece_ = stream.pending_ = 0;
}

void Mux::release(Stream& stream, Time take_by) {
  withdraw(stream);
  consume(stream, stream.held_);
  stream.body = std::string();
  stream.owner = nullptr;
  stream.released_ = true;
  stream.take_by_ = take_by;
  if (stream.closed_) return erase(stream);
  // Only what was answered in full may be left to itself.
  if (!stream.last_) reset(stream, ErrorCode::internal_error);
}

bool Mux::reset_left(Time now) {
  bool some = false;
  for (const auto& stream : streams_) {
    if (!stream->released_) continue;
    some = true;
    if (now < stream->take_by_ || broken_) continue;
    // It is closed, and erased, when the frame is pulled.
    stream->take_by_ = Time::max();
    nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, stream->id_, NGHTTP2_CANCEL);
  }
  return some;
}

void Mux::close(Stream& stream) {
  stream.closed_ = true;
  const bool waits = std::ranges::find(fresh_, &stream) != fresh_.end();
  if (stream.released_ || (!stream.owner && !waits)) {
    consume(stream, stream.held_);
    erase(stream);
  } else if (stream.owner) {
    stream.owner->changed();
  }
}

Stream& Mux::make(std::int32_t id) {
  std::unique_ptr<Stream> made;
  if (spare_.empty()) {
    made = std::make_unique<Stream>(limits_);
  } else {
    made = std::move(spare_.back());
    spare_.pop_back();
  }
  made->id_ = id;
  made->place_ = streams_.size();
  return *streams_.emplace_back(std::move(made));
}

void Mux::erase(Stream& stream) {
  if (in_block_ == &stream) in_block_ = nullptr;
  kept_ -= stream.kept_;
  auto& place = streams_[stream.place_];
  auto gone = std::move(place);
  place = std::move(streams_.back());
  if (place) place->place_ = gone->place_;
  streams_.pop_back();
  if (spare_.size() >= kSpareMax) return;
  gone->clear();
  spare_.push_back(std::move(gone));
}

void Mux::tidy() { spare_.clear(); }

void Stream::clear() {
  FS_ASSERT(!owner);
  head.clear();
  trailers.clear();
  body = std::string();
  closed_ = ended_ = released_ = answered_ = deferred_ = last_ = false;
  pieces_.clear();
  piece_ = pending_ = held_ = kept_ = 0;
  trailers_out_.clear();
  trailer_lines_ = std::string();
  own_ = std::string();
}

void Mux::go_away() {
  if (broken_ || goaway_) return;
  goaway_ = true;
  nghttp2_submit_goaway(session_, NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(session_),
                        NGHTTP2_NO_ERROR, nullptr, 0);
}

void Mux::terminate(ErrorCode code, const char* why) {
  if (broken_) return;
  guard_.violate(code, why);
  nghttp2_session_terminate_session(session_, static_cast<std::uint32_t>(code));
}

void Mux::abandon() {
  broken_ = true;
  std::vector<Stream*> all;
  all.reserve(streams_.size());
  for (const auto& stream : streams_) all.push_back(stream.get());
  for (auto* stream : all)
    if (!stream->closed_) close(*stream);
}

}  // namespace foreshadow::kinds::http::h2
