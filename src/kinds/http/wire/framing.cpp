#include "kinds/http/wire/framing.hpp"

#include <limits>

#include "kinds/http/wire/text.hpp"

namespace foreshadow::kinds::http {
namespace {

tl::unexpected<Refusal> refuse(int status, const char* why) { return tl::make_unexpected(Refusal{status, why}); }

struct LengthFields {
  const Field* length = nullptr;
  const Field* coding = nullptr;
};

Parsed<LengthFields> find_lengths(const std::vector<Field>& fields) {
  LengthFields found;
  for (const auto& field : fields) {
    if (equals_lower(field.name, "content-length")) {
      if (found.length) return refuse(400, "more than one Content-Length");
      found.length = &field;
    } else if (equals_lower(field.name, "transfer-encoding")) {
      if (found.coding) return refuse(400, "more than one Transfer-Encoding");
      found.coding = &field;
    } else if (equals_lower_loosely(field.name, "content-length") ||
               equals_lower_loosely(field.name, "transfer-encoding")) {
      // A proper name, but a service that takes '_' for '-' would see a second framing beside ours.
      return refuse(400, "a framing field is spelt with an underscore");
    }
  }
  if (found.length && found.coding) return refuse(400, "both Content-Length and Transfer-Encoding");
  return found;
}

// "gzip, chunked" and its like: proper, only not done here. Everything else that is not plain "chunked" is an attack or
// a bug.
bool known_codings_then_chunked(std::string_view value) {
  bool last_is_chunked = false, known = true;
  for_each_element(value, [&](std::string_view coding) {
    if (last_is_chunked) known = false;
    last_is_chunked = equals_lower(coding, "chunked");
    known = known &&
            (last_is_chunked || equals_lower(coding, "gzip") || equals_lower(coding, "x-gzip") ||
             equals_lower(coding, "deflate") || equals_lower(coding, "compress") || equals_lower(coding, "x-compress"));
  });
  return known && last_is_chunked;
}

}  // namespace

bool parse_length(std::string_view text, std::uint64_t& length) {
  if (text.empty()) return false;
  std::uint64_t value = 0;
  for (const char c : text) {
    if (!is_digit(c)) return false;
    const auto digit = static_cast<std::uint64_t>(c - '0');
    // One bit less than there is, so that sums with a head's size cannot wrap.
    if (value > (std::numeric_limits<std::int64_t>::max() - digit) / 10) return false;
    value = value * 10 + digit;
  }
  length = value;
  return true;
}

Parsed<Framing> request_framing(const RequestHead& head) {
  const auto found = find_lengths(head.fields);
  if (!found) return tl::make_unexpected(found.error());
  if (found->coding) {
    if (head.minor == 0) return refuse(400, "Transfer-Encoding in HTTP/1.0");
    if (equals_lower(found->coding->value, "chunked")) return Framing{BodyKind::chunked};
    if (known_codings_then_chunked(found->coding->value))
      return refuse(501, "only the chunked transfer coding is done");
    return refuse(400, "unknown or malformed Transfer-Encoding");
  }
  if (!found->length) return Framing{};
  Framing framing{BodyKind::length};
  if (!parse_length(found->length->value, framing.length)) return refuse(400, "malformed Content-Length");
  return framing;
}

Parsed<Framing> response_framing(const ResponseHead& head, std::string_view request_method) {
  const auto found = find_lengths(head.fields);
  if (!found) return refuse(502, found.error().why);
  Framing framing{BodyKind::until_close};
  if (found->coding) {
    if (head.minor == 0) return refuse(502, "Transfer-Encoding in HTTP/1.0");
    if (!equals_lower(found->coding->value, "chunked")) return refuse(502, "only the chunked transfer coding is done");
    framing.kind = BodyKind::chunked;
  } else if (found->length) {
    framing.kind = BodyKind::length;
    if (!parse_length(found->length->value, framing.length)) return refuse(502, "malformed Content-Length");
  }
  if (request_method == "HEAD" || head.status < 200 || head.status == 204 || head.status == 304) return Framing{};
  return framing;
}

}  // namespace foreshadow::kinds::http
