#include "h2_talk.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>

namespace foreshadow::bench {
namespace {

// As h2load's: no answer waits for us.
constexpr std::int32_t kWindow = (1 << 30) - 1;

nghttp2_nv field(std::string_view name, std::string_view value) {
  // nghttp2 copies both and changes neither; its type is older than const.
  return {.name = reinterpret_cast<std::uint8_t*>(const_cast<char*>(name.data())),
          .value = reinterpret_cast<std::uint8_t*>(const_cast<char*>(value.data())),
          .namelen = name.size(),
          .valuelen = value.size(),
          .flags = NGHTTP2_NV_FLAG_NONE};
}

}  // namespace

H2Talk::H2Talk(std::string path, std::string scheme, std::size_t places)
    : path_(std::move(path)), scheme_(std::move(scheme)), streams_(places) {
  nghttp2_session_callbacks* callbacks = nullptr;
  nghttp2_session_callbacks_new(&callbacks);
  nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
  nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
  nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
  nghttp2_session* session = nullptr;
  nghttp2_session_client_new(&session, callbacks, this);
  nghttp2_session_callbacks_del(callbacks);
  session_.reset(session);
  const std::array settings{nghttp2_settings_entry{NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
                            nghttp2_settings_entry{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, kWindow}};
  if (nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, settings.data(), settings.size()) != 0 ||
      nghttp2_session_set_local_window_size(session, NGHTTP2_FLAG_NONE, 0, kWindow) != 0)
    std::abort();
}

H2Talk::Stream* H2Talk::find(std::int32_t id) {
  const auto found = std::ranges::find(streams_, id, &Stream::id);
  return found == streams_.end() ? nullptr : &*found;
}

void H2Talk::ask(std::size_t place, std::uint64_t write) {
  const auto id = std::to_string(write);
  const std::array read{field(":method", "GET"),
                        field(":scheme", scheme_),
                        field(":authority", "bench.example"),
                        field(":path", path_),
                        field("user-agent", "foreshadow-bench"),
                        field("accept", "*/*")};
  const std::array post{field(":method", "POST"),
                        field(":scheme", scheme_),
                        field(":authority", "bench.example"),
                        field(":path", "/write"),
                        field("user-agent", "foreshadow-bench"),
                        field("write-id", id),
                        field("content-length", "0")};
  auto& stream = streams_[place];
  stream.status = 0;
  stream.id = write == 0 ? nghttp2_submit_request(session_.get(), nullptr, read.data(), read.size(), nullptr, nullptr)
                         : nghttp2_submit_request(session_.get(), nullptr, post.data(), post.size(), nullptr, nullptr);
  // Only when all 2^30 streams of a connection are used up.
  if (stream.id < 0) answered_.push_back({.place = place});
}

bool H2Talk::feed(std::string_view bytes, std::vector<Answer>& answers) {
  const auto taken =
      nghttp2_session_mem_recv(session_.get(), reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
  // A stream that nghttp2 gives up itself is over once its reset has been made.
  collect();
  answers.insert(answers.end(), answered_.begin(), answered_.end());
  answered_.clear();
  // A session that wants nothing any more, though nobody said goodbye, was ended by nghttp2 for what it heard.
  return taken == static_cast<ssize_t>(bytes.size()) &&
         (nghttp2_session_want_read(session_.get()) != 0 || !takes_more_);
}

void H2Talk::take_output(std::string& out) {
  collect();
  out += output_;
  output_.clear();
}

void H2Talk::collect() {
  const std::uint8_t* bytes = nullptr;
  for (ssize_t n = 0; (n = nghttp2_session_mem_send(session_.get(), &bytes)) > 0;)
    output_.append(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(n));
}

int H2Talk::on_header(nghttp2_session*, const nghttp2_frame* frame, const std::uint8_t* name, std::size_t name_length,
                      const std::uint8_t* value, std::size_t length, std::uint8_t, void* self) {
  if (std::string_view(reinterpret_cast<const char*>(name), name_length) != ":status") return 0;
  const auto* const text = reinterpret_cast<const char*>(value);
  if (auto* stream = static_cast<H2Talk*>(self)->find(frame->hd.stream_id))
    std::from_chars(text, text + length, stream->status);
  return 0;
}

int H2Talk::on_frame(nghttp2_session*, const nghttp2_frame* frame, void* self) {
  if (frame->hd.type == NGHTTP2_GOAWAY) static_cast<H2Talk*>(self)->takes_more_ = false;
  return 0;
}

int H2Talk::on_close(nghttp2_session*, std::int32_t id, std::uint32_t error, void* self) {
  auto& talk = *static_cast<H2Talk*>(self);
  if (auto* stream = talk.find(id)) {
    const auto place = static_cast<std::size_t>(stream - talk.streams_.data());
    talk.answered_.push_back({.place = place, .status = error == NGHTTP2_NO_ERROR ? stream->status : 0});
    stream->id = 0;
  }
  return 0;
}

}  // namespace foreshadow::bench
