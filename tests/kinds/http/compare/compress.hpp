// Bodies as services compress them.
#pragma once

#include <zlib.h>

#include <string>
#include <string_view>

namespace foreshadow::kinds::http::testing {

enum class Wrap { gzip, zlib, raw };

inline std::string compress(std::string_view text, Wrap wrap = Wrap::gzip) {
  z_stream stream{};
  const int bits = wrap == Wrap::gzip ? MAX_WBITS + 16 : wrap == Wrap::zlib ? MAX_WBITS : -MAX_WBITS;
  deflateInit2(&stream, Z_BEST_COMPRESSION, Z_DEFLATED, bits, 8, Z_DEFAULT_STRATEGY);
  std::string out(deflateBound(&stream, text.size()) + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

}  // namespace foreshadow::kinds::http::testing
