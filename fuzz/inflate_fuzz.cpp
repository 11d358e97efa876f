// Bodies as a shadow may send them: the first byte chooses the coding, the rest is the body. What is decoded keeps to
// its limit, and to whatever limit is a byte smaller it is refused.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "kinds/http/compare/inflate.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  using foreshadow::kinds::http::decode_content;
  constexpr std::size_t kMax = 100'000;
  const std::string_view coding = data[0] % 3 == 0 ? "gzip" : data[0] % 3 == 1 ? "deflate" : "identity";
  const std::string_view body(reinterpret_cast<const char*>(data + 1), size - 1);
  const auto decoded = decode_content(coding, body, kMax);
  if (!decoded) return 0;
  if (decoded->size() > kMax) std::abort();
  if (decode_content(coding, body, decoded->size()) != decoded) std::abort();
  if (!decoded->empty() && coding != "deflate" && decode_content(coding, body, decoded->size() - 1)) std::abort();
  return 0;
}
