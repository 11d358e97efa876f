#include "kinds/http/compare/inflate.hpp"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <limits>

#include "kinds/http/wire/text.hpp"

namespace foreshadow::kinds::http {
namespace {

enum class Format { gzip, zlib, raw };

class Inflater {
 public:
  explicit Inflater(Format format) {
    constexpr int kGzip = 16;
    const int bits = format == Format::raw ? -MAX_WBITS : format == Format::gzip ? MAX_WBITS + kGzip : MAX_WBITS;
    good_ = inflateInit2(&stream_, bits) == Z_OK;
  }
  ~Inflater() { inflateEnd(&stream_); }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  std::optional<std::string> run(std::string_view body, std::size_t max, bool members) {
    if (!good_ || body.size() > std::numeric_limits<uInt>::max()) return std::nullopt;
    std::string out;
    std::array<char, 16 << 10> piece;
    // zlib does not write through it, but its type says that it might.
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(body.data()));
    stream_.avail_in = static_cast<uInt>(body.size());
    for (;;) {
      stream_.next_out = reinterpret_cast<Bytef*>(piece.data());
      stream_.avail_out = piece.size();
      const int state = inflate(&stream_, Z_NO_FLUSH);
      const auto made = piece.size() - stream_.avail_out;
      if (made > max - out.size()) return std::nullopt;
      out.append(piece.data(), made);
      if (state == Z_STREAM_END) {
        if (stream_.avail_in == 0) return out;
        // RFC 1952: a file may be several members in a row.
        if (!members || inflateReset(&stream_) != Z_OK) return std::nullopt;
      } else if (state != Z_OK || (made == 0 && stream_.avail_in == 0)) {
        return std::nullopt;
      }
    }
  }

 private:
  z_stream stream_{};
  bool good_ = false;
};

std::optional<std::string> inflate_as(Format format, std::string_view body, std::size_t max) {
  return Inflater(format).run(body, max, format == Format::gzip);
}

}  // namespace

std::optional<std::string> decode_content(std::string_view coding, std::string_view body, std::size_t max) {
  if (coding.empty() || equals_lower(coding, "identity")) {
    if (body.size() > max) return std::nullopt;
    return std::string(body);
  }
  // The answer to HEAD, a 304.
  if (body.empty()) return std::string();
  if (equals_lower(coding, "gzip") || equals_lower(coding, "x-gzip")) return inflate_as(Format::gzip, body, max);
  if (!equals_lower(coding, "deflate")) return std::nullopt;
  if (auto made = inflate_as(Format::zlib, body, max)) return made;
  return inflate_as(Format::raw, body, max);
}

}  // namespace foreshadow::kinds::http
