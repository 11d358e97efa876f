#include "kinds/http/h2/client.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace foreshadow::kinds::http::testing {

namespace {
constexpr std::size_t kFrameMax = 16'384;

std::uint32_t read_uint32(std::string_view bytes) {
  std::uint32_t value = 0;
  for (const char c : bytes.substr(0, 4)) value = value << 8 | static_cast<unsigned char>(c);
  return value;
}
std::uint8_t* bytes_of(const std::string& text) {
  return const_cast<std::uint8_t*>(reinterpret_cast<const std::uint8_t*>(text.data()));
}
}  // namespace

std::string uint32(std::uint32_t value) {
  return {static_cast<char>(value >> 24), static_cast<char>(value >> 16), static_cast<char>(value >> 8),
          static_cast<char>(value)};
}

std::uint32_t Frame::code() const {
  return read_uint32(type == kGoaway ? std::string_view(payload).substr(4) : std::string_view(payload));
}
std::uint32_t Frame::last_stream() const { return read_uint32(payload); }

Fields get(const std::string& path, const Fields& more) {
  Fields fields{{":method", "GET"}, {":scheme", "http"}, {":path", path}, {":authority", "shop"}};
  fields.insert(fields.end(), more.begin(), more.end());
  return fields;
}

Fields post(const std::string& path, const Fields& more) {
  auto fields = get(path, more);
  fields[0].second = "POST";
  return fields;
}

H2Client::H2Client(Stream stream, const std::vector<std::pair<std::uint16_t, std::uint32_t>>& settings)
    : stream_(std::move(stream)) {
  EXPECT_EQ(nghttp2_hd_deflate_new(&deflater_, 4096), 0);
  EXPECT_EQ(nghttp2_hd_inflate_new(&inflater_), 0);
  std::string entries;
  for (const auto& [id, value] : settings) {
    entries += static_cast<char>(id >> 8);
    entries += static_cast<char>(id);
    entries += uint32(value);
  }
  stream_.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
  send(kSettings, 0, 0, entries);
}

H2Client::~H2Client() {
  nghttp2_hd_deflate_del(deflater_);
  nghttp2_hd_inflate_del(inflater_);
}

bool H2Client::send(std::uint8_t type, std::uint8_t flags, std::uint32_t stream, std::string_view payload) {
  auto frame = uint32(static_cast<std::uint32_t>(payload.size())).substr(1);
  frame += static_cast<char>(type);
  frame += static_cast<char>(flags);
  frame += uint32(stream);
  frame += payload;
  return stream_.send(frame);
}

std::string H2Client::pack(const Fields& fields) {
  std::vector<nghttp2_nv> list;
  for (const auto& [name, value] : fields)
    list.push_back({bytes_of(name), bytes_of(value), name.size(), value.size(), NGHTTP2_NV_FLAG_NONE});
  std::string out(nghttp2_hd_deflate_bound(deflater_, list.data(), list.size()), '\0');
  const auto n = nghttp2_hd_deflate_hd(deflater_, bytes_of(out), out.size(), list.data(), list.size());
  EXPECT_GE(n, 0);
  out.resize(static_cast<std::size_t>(n));
  return out;
}

void H2Client::head(std::uint32_t stream, const Fields& fields, bool end) {
  const auto block = pack(fields);
  for (std::size_t at = 0, type = kHeaders; at == 0 || at < block.size(); at += kFrameMax, type = kContinuation) {
    const auto flags = (at == 0 && end ? kEndStream : 0) | (at + kFrameMax >= block.size() ? kEndHeaders : 0);
    send(static_cast<std::uint8_t>(type), static_cast<std::uint8_t>(flags), stream, block.substr(at, kFrameMax));
  }
}

std::int64_t H2Client::window(std::uint32_t stream) {
  return std::min(connection_window_, initial_window_ + windows_[stream]);
}

bool H2Client::body(std::uint32_t stream, std::string_view bytes, bool end) {
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
    const auto frame = read();
    if (!frame) return false;
    take(*frame);
    if (answers_[stream].reset) return false;
  }
}

H2Answer H2Client::ask(const Fields& fields, const std::string& body_bytes) {
  const auto stream = next_stream();
  head(stream, fields, body_bytes.empty());
  if (!body_bytes.empty()) body(stream, body_bytes);
  return await(stream);
}

H2Answer H2Client::await(std::uint32_t stream) {
  auto& answer = answers_[stream];
  while (!answer.ended && !answer.reset) {
    const auto frame = read();
    if (!frame) break;
    take(*frame);
  }
  return answer;
}

std::optional<Frame> H2Client::await_frame(const std::function<bool(const Frame&)>& wanted) {
  for (;;) {
    auto frame = read();
    if (!frame) return std::nullopt;
    take(*frame);
    if (wanted(*frame)) return frame;
  }
}

bool H2Client::round_trip() {
  send(kPing, 0, 0, "roundtrp");
  return await_frame([](const Frame& f) { return f.type == kPing && f.flags == kAck; }).has_value();
}

std::optional<Frame> H2Client::read() {
  const auto head = stream_.read_exactly(9);
  if (!head) return std::nullopt;
  const auto length = read_uint32(std::string(1, '\0') + head->substr(0, 3));
  Frame frame{static_cast<std::uint8_t>((*head)[3]),
              static_cast<std::uint8_t>((*head)[4]),
              read_uint32(std::string_view(*head).substr(5)),
              {}};
  auto payload = length > 0 ? stream_.read_exactly(length) : std::string{};
  if (!payload) return std::nullopt;
  frame.payload = std::move(*payload);
  return frame;
}

void H2Client::take(const Frame& frame) {
  auto& answer = answers_[frame.stream];
  switch (frame.type) {
    case kSettings:
      if (frame.flags & kAck) break;
      for (std::size_t i = 0; i + 6 <= frame.payload.size(); i += 6)
        if (frame.payload[i + 1] == 4) initial_window_ = read_uint32(std::string_view(frame.payload).substr(i + 2));
      send(kSettings, kAck, 0);
      break;
    case kHeaders:
      take_head(frame);
      break;
    case kData:
      answer.body += frame.payload;
      if (automatic && !frame.payload.empty()) {
        update(0, static_cast<std::uint32_t>(frame.payload.size()));
        if (!(frame.flags & kEndStream)) update(frame.stream, static_cast<std::uint32_t>(frame.payload.size()));
      }
      break;
    case kRstStream:
      answer.reset = frame.code();
      break;
    case kWindowUpdate:
      (frame.stream == 0 ? connection_window_ : windows_[frame.stream]) += read_uint32(frame.payload);
      break;
    default:
      break;
  }
  if ((frame.type == kData || frame.type == kHeaders) && (frame.flags & kEndStream)) answer.ended = true;
}

void H2Client::take_head(const Frame& frame) {
  EXPECT_TRUE(frame.flags & kEndHeaders);
  auto& answer = answers_[frame.stream];
  const bool trailers = answer.status != 0;
  std::map<std::string, std::string> fields;
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
      fields[{reinterpret_cast<char*>(field.name), field.namelen}] = {reinterpret_cast<char*>(field.value),
                                                                      field.valuelen};
    if (flags & NGHTTP2_HD_INFLATE_FINAL) break;
  }
  nghttp2_hd_inflate_end_headers(inflater_);
  if (trailers) {
    answer.trailers = fields;
  } else if (const int status = std::stoi(fields[":status"]); status < 200) {
    answer.interim.push_back(status);
  } else {
    answer.status = status;
    answer.fields = fields;
  }
}

}  // namespace foreshadow::kinds::http::testing
