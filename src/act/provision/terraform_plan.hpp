// Reads what Terraform or OpenTofu says in JSON (`show -json PLAN`, `output -json`) and judges a plan before it is
// applied. Pure. Format: https://developer.hashicorp.com/terraform/internals/json-format
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "domain/resource.hpp"

namespace foreshadow::act {

struct PlannedChange {
  std::string address;  // "module.db.terraform_data.shadow[0]"
  enum class Action { none, create, update, destroy, replace, other } action = Action::none;
  bool imports = false;  // takes over something that exists
  bool tainted = false;  // replaces what a failed apply of ours left half made
};

struct TerraformPlan {
  std::vector<PlannedChange> changes;  // without those that change nothing
};

// invalid: not a plan, an unknown format, or one that Terraform itself calls incomplete or failed.
Result<TerraformPlan> parse_terraform_plan(std::string_view json_text);

// A plan that makes a shadow may create. It may change only what was made under its key before (`ours`), and destroy
// only what is tainted of that. refused, naming the resource and why.
Result<void> check_makes(const TerraformPlan& plan, const std::vector<std::string>& ours);
// A plan that gives a shadow back may destroy what was made under its key, and nothing else.
Result<void> check_gives_back(const TerraformPlan& plan, const std::vector<std::string>& ours);

// "2 to add, 0 to change, 0 to destroy" and the first few addresses, a line each.
std::string plan_summary(const TerraformPlan& plan);

// The instance in the outputs named like its fields; other outputs are not ours to judge. invalid as parse_instance.
Result<Instance> parse_outputs(std::string_view json_text, const Instance& primary);
// True: the outputs are empty, so nothing of the state is left.
Result<bool> no_outputs(std::string_view json_text);

}  // namespace foreshadow::act
