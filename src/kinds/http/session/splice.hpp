// An answer that its instance cut, and whether another instance's answer may go on where it ended. Both must be the
// same bytes: a strong entity tag says so (RFC 9110, section 8.8.1), and a digest of what the client has already checks
// it where the whole is sent again. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "kinds/http/compare/digest.hpp"
#include "kinds/http/wire/framing.hpp"
#include "kinds/http/wire/head.hpp"

namespace foreshadow::kinds::http {

class CutAnswer {
 public:
  // The head of an answer that may be cut. False: it could never be completed.
  bool begin(std::string_view method, const ResponseHead& head, const Framing& framing);
  // Payload that its client is given.
  void passed(std::string_view data) {
    digest_.add(data);
    passed_ += data.size();
  }
  std::uint64_t passed_bytes() const { return passed_; }
  const std::optional<std::uint64_t>& length() const { return length_; }
  // Fields to ask for what is missing, each with its CRLF.
  std::string range_fields() const;

  // Is this the head of the same answer, from its beginning?
  bool fits_whole(const ResponseHead& head, const Framing& framing) const;
  // Of what is missing, and of nothing else?
  bool fits_rest(const ResponseHead& head, const Framing& framing) const;
  // `again`: of the first passed_bytes() of the other.
  bool same(const Digest& again) const { return again.value() == digest_.value(); }

 private:
  bool same_bytes(const ResponseHead& head) const;
  std::string etag_;
  std::string coding_;
  std::optional<std::uint64_t> length_;  // nothing: in chunks
  std::uint64_t passed_ = 0;
  Digest digest_;
};

}  // namespace foreshadow::kinds::http
