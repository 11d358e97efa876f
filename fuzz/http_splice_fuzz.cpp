// The heads by which two answers are held to be the same. Besides not crashing: a tag is whole and quoted, a range lies
// inside its length, and what fits a cut answer says the same of itself as that one did.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "kinds/http/session/splice.hpp"
#include "kinds/http/wire/validators.hpp"

namespace {
void demand(bool what) {
  if (!what) std::abort();
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace foreshadow::kinds::http;
  // Two heads, an empty line behind each.
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto end = bytes.find("\r\n\r\n");
  if (end == bytes.npos) return 0;
  const Limits limits;
  const auto one = parse_response_head(bytes.substr(0, end + 4), limits);
  if (!one) return 0;
  const auto framing = response_framing(*one, "GET");
  if (const auto tag = strong_etag(one->fields); !tag.empty())
    demand(tag.size() >= 2 && tag.front() == '"' && tag.back() == '"' && tag.substr(1).find('"') == tag.size() - 2);
  age_seconds(one->fields);
  if (const auto* told = find_field(one->fields, "content-range"))
    if (const auto range = parse_content_range(told->value))
      demand(range->first <= range->last && range->last < range->complete);
  CutAnswer cut;
  if (!framing || !cut.begin("GET", *one, *framing)) return 0;
  cut.passed("abc");
  demand(cut.range_fields().find("\r\nIf-Range: \"") != std::string::npos);
  demand(cut.fits_whole(*one, *framing));
  const auto two = parse_response_head(bytes.substr(end + 4), limits);
  const auto second = two ? response_framing(*two, "GET") : tl::make_unexpected(Refusal{});
  if (!second) return 0;
  const bool fits = cut.fits_whole(*two, *second), rest = cut.fits_rest(*two, *second);
  demand(!fits || !rest);
  if (fits || rest) demand(strong_etag(two->fields) == strong_etag(one->fields));
  if (rest && cut.length()) demand(second->length + 3 == *cut.length());
  return 0;
}
