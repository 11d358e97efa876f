#include "kinds/http/wire/chunked.hpp"

#include <algorithm>
#include <charconv>

#include "kinds/http/wire/text.hpp"

namespace foreshadow::kinds::http {
namespace {

// A whole body's extensions, and its trailers. Nobody uses the former; the latter hold a checksum or a status.
constexpr std::size_t kExtensionBytesMax = 4 << 10;
constexpr std::size_t kTrailerBytesMax = 8 << 10;
constexpr std::uint64_t kChunkMax = std::uint64_t{1} << 60;
constexpr std::size_t kSizeDigitsMax = 16;

int hex_value(char c) {
  if (is_digit(c)) return c - '0';
  const char l = lower(c);
  return l >= 'a' && l <= 'f' ? l - 'a' + 10 : -1;
}

}  // namespace

bool may_be_trailer(std::string_view name) {
  for (const auto* forbidden : {"transfer-encoding",
                                "content-length",
                                "host",
                                "connection",
                                "keep-alive",
                                "te",
                                "trailer",
                                "upgrade",
                                "proxy-connection",
                                "authorization",
                                "proxy-authorization",
                                "cookie",
                                "set-cookie",
                                "content-encoding",
                                "content-type",
                                "content-range",
                                "cache-control",
                                "expect",
                                "max-forwards",
                                "foreshadow-mirror"})
    if (equals_lower_loosely(name, forbidden)) return false;
  return true;
}

bool ChunkExtensions::take(char c) {
  const bool space = c == ' ' || c == '\t';
  // Every state but those of a quoted string: where `c` leads if it separates, else nothing.
  const auto separated = [&](bool equals_too, At on_space) {
    if (c == ';')
      at_ = At::name_first;
    else if (c == '=' && equals_too)
      at_ = At::value_first;
    else if (space)
      at_ = on_space;
    else
      return false;
    return true;
  };
  switch (at_) {
    case At::before:
      return separated(false, At::before);
    case At::name_first:
    case At::value_first:
      if (space) return true;
      if (c == '"' && at_ == At::value_first) {
        at_ = At::quoted;
        return true;
      }
      at_ = at_ == At::name_first ? At::name : At::value;
      return is_token_char(c);
    case At::name:
      return is_token_char(c) || separated(true, At::after_name);
    case At::after_name:
      return separated(true, At::after_name);
    case At::value:
      return is_token_char(c) || separated(false, At::after_value);
    case At::closed:
    case At::after_value:
      return separated(false, At::after_value);
    case At::quoted:
      if (c == '"')
        at_ = At::closed;
      else if (c == '\\')
        at_ = At::escaped;
      return is_value_char(c);
    case At::escaped:
      at_ = At::quoted;
      return is_value_char(c);
  }
  return false;
}

ChunkedDecoder::Step ChunkedDecoder::refuse(const char* why) {
  refusal_ = {400, why};
  return {State::refused, 0, {}};
}

ChunkedDecoder::Step ChunkedDecoder::finish(std::size_t consumed) {
  const auto fields = parse_fields(trailers_, {});
  if (!fields) return refuse(fields.error().why);
  for (const auto& field : *fields)
    if (!may_be_trailer(field.name)) return refuse("forbidden trailer field");
  return {State::done, consumed, {}};
}

ChunkedDecoder::Step ChunkedDecoder::step(std::string_view in) {
  std::size_t i = 0;
  while (i < in.size()) {
    const char c = in[i];
    switch (at_) {
      case At::size_first:
      case At::size: {
        if (const int digit = hex_value(c); digit >= 0) {
          if (left_ >= kChunkMax / 16 || ++line_bytes_ > kSizeDigitsMax) return refuse("chunk size too large");
          left_ = left_ * 16 + static_cast<std::uint64_t>(digit);
          at_ = At::size;
        } else if (at_ == At::size_first) {
          return refuse("chunk without a size");
        } else if (c == '\r') {
          at_ = At::size_lf;
        } else if (c == ';' || c == ' ' || c == '\t') {
          at_ = At::extension;
          extensions_ = {};
          // The extensions begin with it.
          continue;
        } else {
          return refuse("malformed chunk size");
        }
        ++i;
        break;
      }
      case At::extension:
        if (c == '\r') {
          if (!extensions_.whole()) return refuse("malformed chunk extension");
          at_ = At::size_lf;
        } else if (!extensions_.take(c)) {
          return refuse("malformed chunk extension");
        } else if (++extension_bytes_ > kExtensionBytesMax) {
          return refuse("chunk extensions too large");
        }
        ++i;
        break;
      case At::size_lf:
        if (c != '\n') return refuse("chunk size without CRLF");
        line_bytes_ = 0;
        at_ = left_ == 0 ? At::trailer : At::payload;
        ++i;
        break;
      case At::payload: {
        const auto n = static_cast<std::size_t>(std::min<std::uint64_t>(left_, in.size() - i));
        left_ -= n;
        if (left_ == 0) at_ = At::payload_cr;
        return {State::data, i + n, in.substr(i, n)};
      }
      case At::payload_cr:
        if (c != '\r') return refuse("chunk longer than its size");
        at_ = At::payload_lf;
        ++i;
        break;
      case At::payload_lf:
        if (c != '\n') return refuse("chunk longer than its size");
        at_ = At::size_first;
        ++i;
        break;
      case At::trailer:
        ++i;
        if (c == '\n') return refuse("line ends without CRLF");
        if (c == '\r') {
          at_ = At::trailer_lf;
          break;
        }
        trailers_.push_back(c);
        ++line_bytes_;
        if (trailers_.size() > kTrailerBytesMax) return refuse("trailers too large");
        break;
      case At::trailer_lf:
        if (c != '\n') return refuse("bare CR in a trailer");
        ++i;
        if (line_bytes_ == 0) return finish(i);
        trailers_ += "\r\n";
        line_bytes_ = 0;
        at_ = At::trailer;
        break;
    }
  }
  return {State::more, i, {}};
}

void append_chunk_head(std::string& out, std::size_t size) {
  char hex[20];
  const auto end = std::to_chars(hex, hex + sizeof hex, size, 16).ptr;
  out.append(hex, end);
  out += "\r\n";
}

}  // namespace foreshadow::kinds::http
