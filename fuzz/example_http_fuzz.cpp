// The shop's request parser and the load generator's response parser: no input may crash them, take more bytes than
// there are, or be complete on a prefix and different with more bytes behind it.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/assert.hpp"
#include "load/http_response.hpp"
#include "shop/http.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  shop::Request request;
  std::size_t used = 0;
  if (shop::parse_request(bytes, request, used) == shop::Parse::complete) {
    FS_ASSERT(used <= bytes.size());
    shop::Request again;
    std::size_t used_again = 0;
    FS_ASSERT(shop::parse_request(bytes.substr(0, used), again, used_again) == shop::Parse::complete);
    FS_ASSERT(used == used_again && request.body == again.body);
  }
  load::HttpResponse response;
  if (load::read_response(bytes, response, used) == load::Reading::complete) {
    FS_ASSERT(used <= bytes.size());
    load::HttpResponse again;
    std::size_t used_again = 0;
    FS_ASSERT(load::read_response(bytes.substr(0, used), again, used_again) == load::Reading::complete);
    FS_ASSERT(used == used_again && response.status == again.status);
  }
  return 0;
}
