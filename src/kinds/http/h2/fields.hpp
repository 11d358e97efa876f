// Header sections between HTTP/2 and HTTP/1.1 (RFC 9113, section 8). A request becomes the text of an HTTP/1.1 head and
// is then read by the one strict parser that every request passes; nothing is let through here that it would refuse.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "kinds/http/wire/head.hpp"
#include "kinds/http/wire/rewrite.hpp"

namespace foreshadow::kinds::http::h2 {

// A request's header section, or its trailers, as the fields come in. Holds at most `bytes_max` (name, value and 32
// for each field, RFC 9113, section 6.5.2) and then only counts.
class FieldBlock {
 public:
  explicit FieldBlock(const Limits& limits) : limits_(limits) {}
  void add(std::string_view name, std::string_view value);
  // As new, but for the room it has made.
  void clear();
  // What came, kept or not.
  std::size_t list_bytes() const { return list_bytes_; }

  // The request's head as HTTP/1.1 has it. Refusals: 400 (malformed, or without a host), 431, 414, 501 (CONNECT).
  Parsed<std::string> request_text() const;
  // Trailer lines, each with its CRLF. Refusals: 400 (those that must not come late), 431.
  Parsed<std::string> trailer_text() const;

 private:
  const Limits& limits_;
  std::string method_, path_, authority_;
  std::string cookies_;  // the crumbs joined: section 8.2.3
  std::string lines_;
  std::size_t list_bytes_ = 0;
  std::size_t fields_ = 0;
  bool malformed_ = false;
};

// Without what belongs to one HTTP/1.1 connection. Names may be in either case: nghttp2 sends them in lower case.
using FieldList = std::vector<Field>;

// An answer's head on its way from an HTTP/1.1 service. `list` is filled anew, with views of all the others; an empty
// `via` or `length` is left out.
void response_fields(FieldList& list, const ResponseHead& head, const Connection& connection, std::string_view via,
                     std::string_view length);
// Trailer lines as a chunked body ends with them. What does not parse is left out: the answer is whole without it.
FieldList trailer_fields(std::string_view lines, const Limits& limits);

}  // namespace foreshadow::kinds::http::h2
