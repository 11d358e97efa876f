// Any bytes as what a provisioner prints: an error, or an instance that is complete and not the primary.
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string_view>

#include "act/provision/instance_text.hpp"
#include "act/provision/progress_text.hpp"
#include "base/assert.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace foreshadow;
  static const Instance primary{.id = "a", .endpoint = {"h", 1}, .data_dir = "/d", .pid_file = "/p"};
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto parsed = act::parse_instance(text, primary);
  if (parsed) {
    FS_ASSERT(!parsed->id.empty() && !parsed->endpoint.host.empty() && parsed->endpoint.port != 0);
    FS_ASSERT(parsed->id != primary.id && parsed->endpoint != primary.endpoint);
    FS_ASSERT(parsed->data_dir != primary.data_dir && parsed->pid_file != primary.pid_file);
    FS_ASSERT(act::parse_instance(act::instance_object(*parsed).dump(), primary) == *parsed);
  } else {
    FS_ASSERT(parsed.error().code == Code::invalid && !parsed.error().what.empty());
  }
  for (const unsigned char c : act::shown_line(text)) FS_ASSERT(c >= 0x20 && c != 0x7f);
  if (const auto share = act::percentage_in(text)) FS_ASSERT(*share >= 0 && *share <= 1);
  return 0;
}
