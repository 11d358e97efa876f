// The PROXY v2 header, as it comes from whoever reaches the port. Besides not crashing: a header that was taken for a
// client's is exactly as long as it says, and longer by nothing that is not an extension.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "proxy/proxy_header.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace foreshadow::proxy;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  if (size < kProxyPrologue) return 0;
  const auto prologue = bytes.substr(0, kProxyPrologue);
  const auto length = proxy_rest(prologue);
  if (!length) return 0;
  if (*length > 65'535) std::abort();
  if (*length > size - kProxyPrologue) return 0;
  const auto header = parse_proxy_header(prologue, bytes.substr(kProxyPrologue, *length));
  if (header && header->client && *length < (header->client->v6 ? 36U : 12U)) std::abort();
  return 0;
}
