#include "kinds/http/session/splice.hpp"

#include "kinds/http/wire/validators.hpp"

namespace foreshadow::kinds::http {

bool CutAnswer::begin(std::string_view method, const ResponseHead& head, const Framing& framing) {
  *this = {};
  // Of an answer to the end of its connection nobody knows whether it was cut.
  if (method != "GET" || head.status != 200 || framing.empty() || framing.kind == BodyKind::until_close) return false;
  const auto etag = strong_etag(head.fields);
  const auto coding = single_field(head.fields, "content-encoding");
  if (etag.empty() || !coding) return false;
  etag_ = etag;
  coding_ = *coding;
  if (framing.kind == BodyKind::length) length_ = framing.length;
  return true;
}

std::string CutAnswer::range_fields() const {
  return "Range: bytes=" + std::to_string(passed_) + "-\r\nIf-Range: " + etag_ + "\r\n";
}

bool CutAnswer::same_bytes(const ResponseHead& head) const {
  return strong_etag(head.fields) == etag_ &&
         single_field(head.fields, "content-encoding") == std::string_view(coding_);
}

bool CutAnswer::fits_whole(const ResponseHead& head, const Framing& framing) const {
  if (head.status != 200 || framing.kind == BodyKind::until_close || !same_bytes(head)) return false;
  // In chunks the length is seen when they end.
  return framing.kind == BodyKind::chunked || !length_ || framing.length == *length_;
}

bool CutAnswer::fits_rest(const ResponseHead& head, const Framing& framing) const {
  if (head.status != 206 || !same_bytes(head)) return false;
  const auto told = single_field(head.fields, "content-range");
  const auto range = told ? parse_content_range(*told) : std::nullopt;
  if (!range || range->first != passed_ || range->last + 1 != range->complete) return false;
  if (length_ && range->complete != *length_) return false;
  return framing.kind == BodyKind::length && framing.length == range->complete - passed_;
}

}  // namespace foreshadow::kinds::http
