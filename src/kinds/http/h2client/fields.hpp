// Header sections between the gateway, which thinks in HTTP/1.1, and an instance that speaks HTTP/2 (RFC 9113, section
// 8). A request's head is rewritten once, as for HTTP/1.1, and then turned into fields; an answer's fields become the
// text of a head that the one strict parser reads. Pure.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kinds/http/wire/head.hpp"

namespace foreshadow::kinds::http::h2client {

// Pseudo-header fields first, names in lower case.
using FieldList = std::vector<std::pair<std::string, std::string>>;

// `head`: the whole head of a request as the gateway would send it over HTTP/1.1. Refusals: as the parser's; the
// gateway writes none that is refused.
Parsed<FieldList> request_fields(std::string_view head, bool secure);
// Trailer lines, each with its CRLF. Those that must not come late, or do not parse, are left out.
FieldList trailer_fields(std::string_view lines);

// An answer's header section, or its trailers, as the fields come in. Holds at most `bytes_max` (name, value and 32 for
// each field, RFC 9113, section 6.5.2) and then only counts.
class AnswerBlock {
 public:
  explicit AnswerBlock(std::size_t bytes_max) : bytes_max_(bytes_max) {}
  void add(std::string_view name, std::string_view value);
  std::size_t list_bytes() const { return list_bytes_; }
  bool too_large() const { return list_bytes_ > bytes_max_; }
  int status() const { return status_; }
  // The head as HTTP/1.1 has it, without a reason phrase.
  std::string head_text() const;
  // Lines with their CRLF; without those that must not come late (RFC 9110, section 6.5.1), which may be dropped.
  const std::string& trailer_text() const { return trailer_lines_; }

 private:
  std::size_t bytes_max_;
  std::size_t list_bytes_ = 0;
  int status_ = 0;
  std::string lines_;
  std::string trailer_lines_;
};

}  // namespace foreshadow::kinds::http::h2client
