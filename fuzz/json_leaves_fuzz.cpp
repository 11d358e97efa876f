// A JSON body as a service may send it. What is taken is JSON to nlohmann's parser too, keeps to its limits, and has
// the same leaves when it is written anew, in another order of keys and with other spacing.
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string_view>

#include "kinds/http/compare/json_leaves.hpp"

using namespace foreshadow::kinds::http;

namespace {
// A key that is there twice is lost when it is written anew, and -0 is 0.
std::size_t leaves_of(const nlohmann::json& j) {
  if (!j.is_structured() || j.empty()) return 1;
  std::size_t sum = 0;
  for (const auto& child : j) sum += leaves_of(child);
  return sum;
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Secrets secrets;
  const JsonLimits limits{.depth_max = 32, .leaves_max = 500};
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto leaves = json_leaves(text, secrets, limits);
  if (!leaves) return 0;
  if (leaves->empty() || leaves->size() > limits.leaves_max) std::abort();
  const auto parsed = nlohmann::json::parse(text, nullptr, false);
  if (parsed.is_discarded()) std::abort();
  if (leaves_of(parsed) != leaves->size()) return 0;
  if (json_leaves(parsed.dump(3), secrets, limits) != leaves) std::abort();
  return 0;
}
