// Any bytes as an HTTP answer to a probe: the caps hold, and it does not matter in which pieces they come.
#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/assert.hpp"
#include "io/http_answer.hpp"

namespace {
struct Outcome {
  bool ok = false, complete = false;
  int status = 0;
  std::string body;
  friend bool operator==(const Outcome&, const Outcome&) = default;
};

Outcome read_in_pieces(std::string_view bytes, std::size_t piece) {
  foreshadow::io::HttpAnswerParser parser;
  bool complete = false;
  for (std::size_t at = 0; at < bytes.size() && !complete; at += piece) {
    const auto taken = parser.take(bytes.substr(at, piece));
    if (!taken) return {};
    complete = *taken;
  }
  const bool ended = complete || parser.end().has_value();
  FS_ASSERT(parser.body().size() <= foreshadow::io::HttpAnswerParser::body_max);
  FS_ASSERT(!ended || (parser.status() >= 200 && parser.status() <= 599));
  return {ended, complete, ended ? parser.status() : 0, ended ? parser.body() : std::string()};
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const auto whole = read_in_pieces(bytes, bytes.size() + 1);
  const auto pieces = read_in_pieces(bytes, std::max<std::size_t>(1, data[0]));
  // In one piece, bytes behind a complete answer are never looked at; in pieces, never sent. Both must agree.
  FS_ASSERT(whole == pieces);
  return 0;
}
