#include "kinds/http/h2client/fields.hpp"

#include <algorithm>

#include "kinds/http/wire/chunked.hpp"
#include "kinds/http/wire/rewrite.hpp"
#include "kinds/http/wire/text.hpp"

namespace foreshadow::kinds::http::h2client {
namespace {

constexpr std::size_t kFieldOverhead = 32;

std::string in_lower(std::string_view text) {
  std::string made(text);
  std::ranges::transform(made, made.begin(), lower);
  return made;
}

// RFC 9113, section 8.2.2: what belongs to one HTTP/1.1 connection. TE goes on, as the one thing that it may say there.
bool is_of_http1(std::string_view name) {
  for (const auto* one : {"connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade", "te", "host"})
    if (equals_lower(name, one)) return true;
  return false;
}

}  // namespace

Parsed<FieldList> request_fields(std::string_view text, bool secure) {
  // Its size and the number of its fields were looked at when it came in; since then some were added.
  Limits limits;
  limits.head_bytes_max = limits.target_bytes_max = text.size();
  limits.fields_max = text.size();
  const auto head = parse_request_head(text, limits);
  if (!head) return tl::make_unexpected(head.error());
  FieldList list;
  list.reserve(head->fields.size() + 5);
  list.emplace_back(":method", head->method);
  list.emplace_back(":scheme", secure ? "https" : "http");
  if (!head->host.empty()) list.emplace_back(":authority", head->host);
  list.emplace_back(":path", head->target);
  for (const auto& field : head->fields)
    if (!is_of_http1(field.name))
      list.emplace_back(in_lower(field.name), field.value);
    else if (equals_lower(field.name, "te"))
      list.emplace_back("te", "trailers");
  return list;
}

FieldList trailer_fields(std::string_view lines) {
  FieldList list;
  if (lines.empty()) return list;
  Limits limits;
  limits.head_bytes_max = limits.fields_max = lines.size();
  if (const auto fields = parse_fields(lines, limits))
    for (const auto& field : *fields)
      if (may_be_trailer(field.name)) list.emplace_back(in_lower(field.name), field.value);
  return list;
}

void AnswerBlock::add(std::string_view name, std::string_view value) {
  list_bytes_ += name.size() + value.size() + kFieldOverhead;
  if (too_large()) return;
  if (name.starts_with(':')) {
    // nghttp2 has seen to it that it is three digits, and that there is no other.
    status_ = 0;
    for (const char c : value) status_ = status_ * 10 + (c - '0');
    return;
  }
  // A line feed in a value would be a field of its own over HTTP/1.1. nghttp2 looks too; this is ours to be sure of:
  // what is not a field is left for the parser to refuse.
  const auto line = [&](std::string& lines) { lines.append(name).append(": ").append(value).append("\r\n"); };
  line(lines_);
  if (is_token(name) && std::ranges::all_of(value, is_value_char) && may_be_trailer(name)) line(trailer_lines_);
}

std::string AnswerBlock::head_text() const {
  std::string text = "HTTP/1.1 ";
  text.append(std::to_string(status_)).append(" \r\n").append(lines_).append("\r\n");
  return text;
}

}  // namespace foreshadow::kinds::http::h2client
