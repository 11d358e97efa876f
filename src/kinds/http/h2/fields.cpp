#include "kinds/http/h2/fields.hpp"

#include <algorithm>
#include <utility>

#include "kinds/http/wire/chunked.hpp"
#include "kinds/http/wire/text.hpp"

namespace foreshadow::kinds::http::h2 {
namespace {

constexpr std::size_t kFieldOverhead = 32;
// What most requests' fields fit into.
constexpr std::size_t kLinesBytes = 512;
constexpr std::size_t kRoomKept = 4096;

tl::unexpected<Refusal> refuse(int status, const char* why) { return tl::make_unexpected(Refusal{status, why}); }

bool has_line_end(std::string_view text) {
  return text.find('\n') != std::string_view::npos || text.find('\r') != std::string_view::npos;
}

}  // namespace

void FieldBlock::add(std::string_view name, std::string_view value) {
  list_bytes_ += name.size() + value.size() + kFieldOverhead;
  if (list_bytes_ > limits_.head_bytes_max) return;
  // A line feed in a value would be a field of its own over HTTP/1.1. nghttp2 looks too; this is ours to be sure of.
  // What else a value must not have is found where the text is read.
  if (has_line_end(value)) malformed_ = true;
  if (name.starts_with(':')) {
    if (name == ":method") method_ = value;
    if (name == ":path") path_ = value;
    if (name == ":authority") authority_ = value;
    return;
  }
  ++fields_;
  if (!is_token(name)) malformed_ = true;
  if (name == "cookie") {
    if (!cookies_.empty()) cookies_ += "; ";
    cookies_ += value;
    return;
  }
  // The same name twice is what clients that came from HTTP/1.1 send; two different ones are refused as two Hosts are.
  if (name == "host" && !authority_.empty() && equals_ignoring_case(value, authority_)) return;
  if (lines_.empty()) lines_.reserve(kLinesBytes);
  lines_.append(name).append(": ").append(value).append("\r\n");
}

void FieldBlock::clear() {
  for (auto* text : {&method_, &path_, &authority_, &cookies_, &lines_}) {
    if (text->capacity() > kRoomKept) *text = std::string();
    text->clear();
  }
  list_bytes_ = fields_ = 0;
  malformed_ = false;
}

Parsed<std::string> FieldBlock::request_text() const {
  if (malformed_) return refuse(400, "malformed header field");
  if (list_bytes_ > limits_.head_bytes_max) return refuse(431, "header section too large");
  if (method_ == "CONNECT") return refuse(501, "CONNECT is not offered");
  if (!is_token(method_)) return refuse(400, "malformed method");
  if (path_.size() > limits_.target_bytes_max) return refuse(414, "request target too long");
  // RFC 9113, section 8.3.1. The absolute form, which HTTP/1.1 has, is none here.
  if (!path_.starts_with('/') && path_ != "*") return refuse(400, "malformed request target");
  std::string text;
  text.reserve(method_.size() + path_.size() + authority_.size() + cookies_.size() + lines_.size() + 64);
  text.append(method_).append(" ").append(path_).append(" HTTP/1.1\r\n");
  if (!authority_.empty()) text.append("host: ").append(authority_).append("\r\n");
  text.append(lines_);
  if (!cookies_.empty()) text.append("cookie: ").append(cookies_).append("\r\n");
  text += "\r\n";
  return text;
}

Parsed<std::string> FieldBlock::trailer_text() const {
  if (malformed_) return refuse(400, "malformed trailer field");
  if (list_bytes_ > limits_.head_bytes_max || fields_ > limits_.fields_max) return refuse(431, "trailers too large");
  if (!cookies_.empty()) return refuse(400, "forbidden trailer field");
  const auto fields = parse_fields(lines_, limits_);
  if (!fields) return tl::make_unexpected(fields.error());
  for (const auto& field : *fields)
    if (!may_be_trailer(field.name)) return refuse(400, "forbidden trailer field");
  return lines_;
}

void response_fields(FieldList& list, const ResponseHead& head, const Connection& connection, std::string_view via,
                     std::string_view length) {
  list.clear();
  for (const auto& field : head.fields)
    if (is_end_to_end(field, connection)) list.push_back(field);
  if (!via.empty()) list.push_back({"via", via});
  if (!length.empty()) list.push_back({"content-length", length});
}

FieldList trailer_fields(std::string_view lines, const Limits& limits) {
  FieldList list;
  if (lines.empty()) return list;
  if (auto fields = parse_fields(lines, limits)) list = std::move(*fields);
  return list;
}

}  // namespace foreshadow::kinds::http::h2
