// A body in the chunked transfer coding, as it comes from a client or an instance. Besides not crashing: how bytes are
// cut on their way must not matter, a plain reader that knows nothing of extensions finds the same payload and the same
// end, and what we write of it reads back the same.
#include <algorithm>
#include <charconv>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "kinds/http/wire/chunked.hpp"

namespace {

using namespace foreshadow::kinds::http;
using State = ChunkedDecoder::State;

void require(bool condition) {
  if (!condition) std::abort();
}

struct Body {
  State state = State::more;
  std::string payload;
  std::size_t consumed = 0;  // nothing, where it was refused: how far one looks before that is the cut's affair
  std::string trailers;
  std::string why;
  friend bool operator==(const Body&, const Body&) = default;
};

Body decode(std::string_view bytes, std::size_t step) {
  Body body;
  ChunkedDecoder decoder;
  while (!bytes.empty()) {
    auto piece = bytes.substr(0, step);
    bytes.remove_prefix(piece.size());
    while (!piece.empty()) {
      const auto got = decoder.step(piece);
      body.state = got.state;
      if (got.state == State::refused) {
        body.why = decoder.refusal().why;
        require(!body.why.empty() && decoder.refusal().status == 400);
        body.consumed = 0;
        return body;
      }
      require(got.consumed > 0 && got.consumed <= piece.size());
      require(got.data.empty() || (got.data.data() >= piece.data() && got.data.end() == piece.begin() + got.consumed));
      body.payload += got.data;
      body.consumed += got.consumed;
      if (got.state == State::done) {
        body.trailers = decoder.trailers();
        return body;
      }
      piece.remove_prefix(got.consumed);
    }
    body.state = State::more;
  }
  return body;
}

// As one would write it in an evening: lines, sizes, nothing else.
Body read_plainly(std::string_view bytes) {
  Body body{.state = State::done};
  const auto line = [&] {
    const auto end = bytes.find("\r\n", body.consumed);
    require(end != std::string_view::npos);
    const auto text = bytes.substr(body.consumed, end - body.consumed);
    body.consumed = end + 2;
    return text;
  };
  for (;;) {
    const auto text = line();
    std::size_t size = 0;
    require(std::from_chars(text.begin(), text.end(), size, 16).ec == std::errc{});
    if (size == 0) break;
    body.payload += bytes.substr(body.consumed, size);
    body.consumed += size;
    require(line().empty());
  }
  for (auto text = line(); !text.empty(); text = line()) body.trailers.append(text).append("\r\n");
  return body;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto whole = decode(bytes, std::max<std::size_t>(size, 1));
  for (const std::size_t step : {1, 2, 7}) require(whole == decode(bytes, step));
  if (whole.state != State::done) return 0;
  require(whole == read_plainly(bytes));
  std::string out;
  for (std::size_t at = 0, piece = 1; at < whole.payload.size(); at += piece, piece = piece * 3 % 4099) {
    const auto part = std::string_view(whole.payload).substr(at, piece);
    append_chunk_head(out, part.size());
    out.append(part).append("\r\n");
  }
  out.append("0\r\n").append(whole.trailers).append("\r\n");
  auto again = decode(out, out.size());
  require(again.consumed == out.size());
  again.consumed = whole.consumed;
  require(again == whole);
  return 0;
}
