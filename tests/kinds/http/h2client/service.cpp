#include "kinds/http/h2client/service.hpp"

#include <algorithm>

namespace foreshadow::kinds::http::testing {

namespace {
constexpr std::size_t kFrameMax = 16'384;
constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

std::uint32_t number(std::string_view bytes) {
  std::uint32_t value = 0;
  for (const char c : bytes.substr(0, 4)) value = value << 8 | static_cast<unsigned char>(c);
  return value;
}
std::uint8_t* bytes_of(const std::string& text) {
  return const_cast<std::uint8_t*>(reinterpret_cast<const std::uint8_t*>(text.data()));
}
}  // namespace

H2Peer::H2Peer(Stream& stream, const Settings& settings) : stream_(stream) {
  EXPECT_EQ(nghttp2_hd_deflate_new(&deflater_, 4096), 0);
  EXPECT_EQ(nghttp2_hd_inflate_new(&inflater_), 0);
  greeted_ = stream_.read_exactly(kPreface.size()) == kPreface;
  std::string entries;
  for (const auto& [id, value] : settings) {
    entries += static_cast<char>(id >> 8);
    entries += static_cast<char>(id);
    entries += uint32(value);
  }
  send(kSettings, 0, 0, entries);
}

H2Peer::~H2Peer() {
  nghttp2_hd_deflate_del(deflater_);
  nghttp2_hd_inflate_del(inflater_);
}

bool H2Peer::send(std::uint8_t type, std::uint8_t flags, std::uint32_t stream, std::string_view payload) {
  auto frame = uint32(static_cast<std::uint32_t>(payload.size())).substr(1);
  frame += static_cast<char>(type);
  frame += static_cast<char>(flags);
  frame += uint32(stream);
  frame += payload;
  return stream_.send(frame);
}

bool H2Peer::head(std::uint32_t stream, const Fields& fields, bool end) {
  std::vector<nghttp2_nv> list;
  for (const auto& [name, value] : fields)
    list.push_back({bytes_of(name), bytes_of(value), name.size(), value.size(), NGHTTP2_NV_FLAG_NONE});
  std::string block(nghttp2_hd_deflate_bound(deflater_, list.data(), list.size()), '\0');
  const auto n = nghttp2_hd_deflate_hd(deflater_, bytes_of(block), block.size(), list.data(), list.size());
  EXPECT_GE(n, 0);
  block.resize(static_cast<std::size_t>(n));
  bool sent = true;
  for (std::size_t at = 0, type = kHeaders; sent && (at == 0 || at < block.size());
       at += kFrameMax, type = kContinuation) {
    const auto flags = (at == 0 && end ? kEndStream : 0) | (at + kFrameMax >= block.size() ? kEndHeaders : 0);
    sent = send(static_cast<std::uint8_t>(type), static_cast<std::uint8_t>(flags), stream, block.substr(at, kFrameMax));
  }
  return sent;
}

std::int64_t H2Peer::window(std::uint32_t stream) const {
  const auto own = windows_.find(stream);
  return std::min(connection_window_, initial_window_ + (own == windows_.end() ? 0 : own->second));
}

bool H2Peer::body(std::uint32_t stream, std::string_view bytes, bool end) {
  for (;;) {
    const auto n =
        std::min({bytes.size(), kFrameMax, static_cast<std::size_t>(std::max<std::int64_t>(0, window(stream)))});
    const bool last = n == bytes.size();
    if (n > 0 || last) {
      if (!send(kData, last && end ? kEndStream : 0, stream, bytes.substr(0, n))) return false;
      bytes.remove_prefix(n);
      windows_[stream] -= static_cast<std::int64_t>(n);
      connection_window_ -= static_cast<std::int64_t>(n);
      if (last) return true;
      continue;
    }
    if (!read() || requests_[stream].reset) return false;
  }
}

bool H2Peer::answer(std::uint32_t stream, const std::string& text, const Fields& more) {
  Fields fields{{":status", "200"}, {"content-length", std::to_string(text.size())}};
  fields.insert(fields.end(), more.begin(), more.end());
  return head(stream, fields, text.empty()) && (text.empty() || body(stream, text));
}

std::optional<Frame> H2Peer::read() {
  const auto head = stream_.read_exactly(9);
  if (!head) return std::nullopt;
  const auto length = number(std::string(1, '\0') + head->substr(0, 3));
  Frame frame{static_cast<std::uint8_t>((*head)[3]),
              static_cast<std::uint8_t>((*head)[4]),
              number(std::string_view(*head).substr(5)),
              {}};
  auto payload = length > 0 ? stream_.read_exactly(length) : std::string{};
  if (!payload) return std::nullopt;
  frame.payload = std::move(*payload);
  take(frame);
  return frame;
}

bool H2Peer::read_until(const std::function<bool()>& enough) {
  while (!enough())
    if (!read()) return false;
  return true;
}

H2Request* H2Peer::next() {
  if (!read_until([&] { return !wholes_.empty(); })) return nullptr;
  const auto stream = wholes_.front();
  wholes_.pop_front();
  return &requests_[stream];
}

H2Request* H2Peer::next_head() {
  if (!read_until([&] { return !heads_.empty(); })) return nullptr;
  const auto stream = heads_.front();
  heads_.pop_front();
  return &requests_[stream];
}

void H2Peer::take(const Frame& frame) {
  auto& request = requests_[frame.stream];
  request.stream = frame.stream;
  switch (frame.type) {
    case kSettings:
      if (frame.flags & kAck) break;
      for (std::size_t i = 0; i + 6 <= frame.payload.size(); i += 6)
        if (frame.payload[i + 1] == 4) initial_window_ = number(std::string_view(frame.payload).substr(i + 2));
      send(kSettings, kAck, 0);
      break;
    case kPing:
      pings += !(frame.flags & kAck);
      if (answers_pings && !(frame.flags & kAck)) send(kPing, kAck, 0, frame.payload);
      break;
    case kHeaders:
      take_head(frame);
      break;
    case kData:
      request.body += frame.payload;
      if (gives_windows && !frame.payload.empty()) {
        send(kWindowUpdate, 0, 0, uint32(static_cast<std::uint32_t>(frame.payload.size())));
        send(kWindowUpdate, 0, frame.stream, uint32(static_cast<std::uint32_t>(frame.payload.size())));
      }
      break;
    case kRstStream:
      request.reset = frame.code();
      break;
    case kGoaway:
      goaway_code = frame.code();
      break;
    case kWindowUpdate:
      (frame.stream == 0 ? connection_window_ : windows_[frame.stream]) += number(frame.payload);
      break;
    default:
      break;
  }
  if ((frame.type == kData || frame.type == kHeaders) && (frame.flags & kEndStream)) {
    request.ended = true;
    wholes_.push_back(frame.stream);
  }
}

void H2Peer::take_head(const Frame& frame) {
  EXPECT_TRUE(frame.flags & kEndHeaders);
  auto& request = requests_[frame.stream];
  auto& into = request.fields.empty() ? request.fields : request.trailers;
  if (request.fields.empty()) heads_.push_back(frame.stream);
  const auto* in = bytes_of(frame.payload);
  auto left = frame.payload.size();
  for (;;) {
    nghttp2_nv field;
    int flags = 0;
    const auto n = nghttp2_hd_inflate_hd2(inflater_, &field, &flags, in, left, 1);
    ASSERT_GE(n, 0);
    in += n;
    left -= static_cast<std::size_t>(n);
    if (flags & NGHTTP2_HD_INFLATE_EMIT)
      into[{reinterpret_cast<char*>(field.name), field.namelen}] = {reinterpret_cast<char*>(field.value),
                                                                    field.valuelen};
    if (flags & NGHTTP2_HD_INFLATE_FINAL) break;
  }
  nghttp2_hd_inflate_end_headers(inflater_);
}

void H2Upstream::serve(Backend& backend, Handler handler, H2Peer::Settings settings) {
  backend.handle_connections([this, handler = std::move(handler), settings = std::move(settings)](Stream& stream) {
    H2Peer peer(stream, settings);
    while (auto* request = peer.next()) {
      {
        const std::lock_guard lock(mutex_);
        seen_.push_back(*request);
      }
      handler(peer, *request);
    }
  });
}

}  // namespace foreshadow::kinds::http::testing
