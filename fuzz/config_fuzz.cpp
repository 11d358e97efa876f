// Any bytes as a configuration file: an error with a place or a sound Config, never a crash, a hang or an exception.
#include <cstdint>
#include <string_view>

#include "../tests/config/declared_kinds.hpp"
#include "base/assert.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto config = foreshadow::config::parse_declared(std::string_view(reinterpret_cast<const char*>(data), size));
  if (!config) {
    FS_ASSERT(config.error().what.starts_with("f.yaml:"));
    return 0;
  }
  FS_ASSERT(!config->resources.empty());
  for (const auto& settings : config->resources) {
    FS_ASSERT(settings.listener.matches.size() == settings.resource.segments.size());
    FS_ASSERT(settings.policy.shadowing.threshold <= settings.policy.critical.threshold);
    FS_ASSERT(settings.resource.primary.endpoint.port != 0);
  }
  return 0;
}
