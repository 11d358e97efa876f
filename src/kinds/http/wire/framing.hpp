// How long a message's body is (RFC 9112, section 6.3). The one place that reads Content-Length and Transfer-Encoding:
// everything behind it works with a Framing, and what we send is framed by us.
#pragma once

#include <cstdint>

#include "kinds/http/wire/head.hpp"

namespace foreshadow::kinds::http {

enum class BodyKind { none, length, chunked, until_close };

struct Framing {
  BodyKind kind = BodyKind::none;
  std::uint64_t length = 0;  // for BodyKind::length
  bool empty() const { return kind == BodyKind::none || (kind == BodyKind::length && length == 0); }
};

// Refusals: 400 (both or repeated or malformed lengths, obfuscated codings), 501 (a coding that is known but not done).
Parsed<Framing> request_framing(const RequestHead& head);
// Refusals all mean 502.
Parsed<Framing> response_framing(const ResponseHead& head, std::string_view request_method);

// Digits and nothing else, no overflow.
bool parse_length(std::string_view text, std::uint64_t& length);

}  // namespace foreshadow::kinds::http
