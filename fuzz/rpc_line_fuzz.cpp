// Any bytes as a line of our RPC, in either direction: a value or an error, and what is read can be written again.
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string_view>

#include "base/assert.hpp"
#include "io/rpc_line.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace foreshadow;
  const std::string_view line(reinterpret_cast<const char*>(data), size);
  if (const auto request = io::parse_rpc_line(line)) {
    FS_ASSERT(request->is_object());
    const auto written = io::write_rpc_line(*request);
    FS_ASSERT(written && written->ends_with('\n') && written->find('\n') == written->size() - 1);
    FS_ASSERT(io::parse_rpc_line(*written).has_value());
  }
  const auto answer = io::parse_rpc_answer(line);
  const auto again = io::parse_rpc_answer(io::write_rpc_answer(answer));
  if (!answer) FS_ASSERT(!again && again.error().code == answer.error().code);
  return 0;
}
