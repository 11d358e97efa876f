// Any bytes as Terraform's JSON: nothing but errors and values, and no plan passes that destroys where it should make.
#include <cstdint>
#include <string_view>

#include "act/provision/terraform_plan.hpp"
#include "base/assert.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace foreshadow;
  using Action = act::PlannedChange::Action;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  static const Instance primary{.id = "a", .endpoint = {"h", 1}};
  if (const auto plan = act::parse_terraform_plan(text)) {
    FS_ASSERT(!act::plan_summary(*plan).empty());
    const bool makes = act::check_makes(*plan, {}).has_value(),
               gives_back = act::check_gives_back(*plan, {}).has_value();
    for (const auto& change : plan->changes) {
      FS_ASSERT(!makes || (change.action == Action::create && !change.imports));
      FS_ASSERT(!gives_back);
    }
  }
  if (const auto instance = act::parse_outputs(text, primary)) FS_ASSERT(instance->id != primary.id);
  (void)act::no_outputs(text);
  return 0;
}
