// Fields by which two answers are known to be about the same bytes (RFC 9110, sections 8.8 and 14.4), and how old one
// is (RFC 9111, section 5.1). Strict: what is said twice, or not to the letter, is not believed. Pure; views point into
// the caller's bytes.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "kinds/http/wire/head.hpp"

namespace foreshadow::kinds::http {

// The one strong entity tag, with its quotes; empty: none, a weak one, or not one.
std::string_view strong_etag(const std::vector<Field>& fields);

struct ContentRange {
  std::uint64_t first = 0, last = 0;
  std::uint64_t complete = 0;  // the length of all
  friend bool operator==(const ContentRange&, const ContentRange&) = default;
};
// "bytes 5-9/10", inside the length. Nothing: otherwise, as where the length is not told.
std::optional<ContentRange> parse_content_range(std::string_view value);

// In seconds; 0 where nothing is said, and the most there is where it is said twice or cannot be read.
std::uint64_t age_seconds(const std::vector<Field>& fields);

// The value of the one field of that name (in lower case); empty: none. Nothing: more than one.
std::optional<std::string_view> single_field(const std::vector<Field>& fields, std::string_view lower_name);

}  // namespace foreshadow::kinds::http
