// WebSockets for the tests (RFC 6455), by a parser of its own: a service that echoes, and a client. No handshake hash:
// the gateway passes it on and judges nothing.
#pragma once

#include <mutex>

#include "kinds/http/net.hpp"

namespace foreshadow::kinds::http::testing {

enum WsOpcode { kWsContinuation = 0, kWsText = 1, kWsBinary = 2, kWsClose = 8, kWsPing = 9, kWsPong = 10 };

struct WsFrame {
  bool fin = true;
  int opcode = kWsText;
  std::string payload;
  int code() const {
    return payload.size() < 2 ? 0
                              : static_cast<unsigned char>(payload[0]) << 8 | static_cast<unsigned char>(payload[1]);
  }
};

inline std::string to_bytes(const WsFrame& frame, bool masked) {
  std::string out{static_cast<char>((frame.fin ? 0x80 : 0) | frame.opcode)};
  const auto size = frame.payload.size();
  const auto put = [&](std::size_t value, int count) {
    while (count-- > 0) out += static_cast<char>(value >> (8 * count) & 0xff);
  };
  const std::size_t mask_bit = masked ? 0x80 : 0;
  if (size < 126) {
    put(mask_bit | size, 1);
  } else {
    put(mask_bit | (size < 65536 ? 126 : 127), 1);
    put(size, size < 65536 ? 2 : 8);
  }
  if (!masked) return out + frame.payload;
  const std::string key = "k3Y!";
  out += key;
  for (std::size_t i = 0; i < size; ++i) out += static_cast<char>(frame.payload[i] ^ key[i % 4]);
  return out;
}

inline std::optional<WsFrame> read_ws_frame(Stream& stream) {
  const auto byte = [](char c) { return static_cast<unsigned char>(c); };
  const auto start = stream.read_exactly(2);
  if (!start) return std::nullopt;
  std::size_t size = byte((*start)[1]) & 0x7f;
  if (size >= 126) {
    const auto more = stream.read_exactly(size == 126 ? 2 : 8);
    if (!more) return std::nullopt;
    size = 0;
    for (const char c : *more) size = size << 8 | byte(c);
  }
  std::string key(4, '\0');
  if (byte((*start)[1]) & 0x80) {
    const auto found = stream.read_exactly(4);
    if (!found) return std::nullopt;
    key = *found;
  }
  auto payload = stream.read_exactly(size);
  if (!payload) return std::nullopt;
  for (std::size_t i = 0; i < size; ++i) (*payload)[i] ^= key[i % 4];
  return WsFrame{(byte((*start)[0]) & 0x80) != 0, byte((*start)[0]) & 0x0f, std::move(*payload)};
}

inline const std::string kUpgrade =
    "GET /socket HTTP/1.1\r\nHost: shop\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
inline const std::string kSwitch =
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

// Greets with the backend's name, echoes frame by frame, answers ping and Close, and remembers what it was sent.
class WsEcho {
 public:
  explicit WsEcho(Backend& backend) : name_(backend.name()) {
    backend.handle([this](const Message&, Stream& stream) {
      if (stream.send(kSwitch) && stream.send(to_bytes({true, kWsText, name_}, false))) serve(stream);
      return Backend::Reply{"", true};
    });
  }
  std::vector<std::string> received() const {
    const std::lock_guard lock(mutex_);
    return received_;
  }
  // Codes of the Close frames that clients answered.
  std::vector<int> codes() const {
    const std::lock_guard lock(mutex_);
    return codes_;
  }

 private:
  void serve(Stream& stream) {
    while (auto frame = read_ws_frame(stream)) {
      {
        const std::lock_guard lock(mutex_);
        if (frame->opcode == kWsClose)
          codes_.push_back(frame->code());
        else
          received_.push_back(frame->payload);
      }
      if (frame->opcode == kWsPing) frame->opcode = kWsPong;
      if (!stream.send(to_bytes(*frame, false)) || frame->opcode == kWsClose) return;
    }
  }
  std::string name_;
  mutable std::mutex mutex_;
  std::vector<std::string> received_;
  std::vector<int> codes_;
};

// The client's end of one, switched already.
struct WebSocket {
  Stream stream;
  bool say(const std::string& text) { return stream.send(to_bytes({true, kWsText, text}, true)); }
  std::optional<WsFrame> next() { return read_ws_frame(stream); }
  std::string hear() {
    const auto frame = next();
    return frame ? frame->payload : "(nothing)";
  }
  // Answers a Close frame as a client must.
  bool answer(const WsFrame& close) { return stream.send(to_bytes(close, true)); }
};

}  // namespace foreshadow::kinds::http::testing
