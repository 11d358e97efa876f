#include "act/provision/terraform_provisioner.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>

#include "act/provision/instance_text.hpp"
#include "act/provision/progress_text.hpp"
#include "act/provision/provenance.hpp"
#include "io/subprocess.hpp"
#include "io/wait.hpp"

namespace foreshadow::act {
namespace {

using nlohmann::json;

// A killed apply forgets what it was creating; an interrupted one finishes the step and saves its state.
constexpr Millis kInterruptGrace{20'000};
constexpr std::size_t kOutputMax = 32 << 20;  // plans in JSON are long

bool exists(const std::string& path) {
  struct stat st{};
  return ::stat(path.c_str(), &st) == 0;
}

// "Error: why" and what follows it, in one line.
std::string error_in(const std::string& text) {
  const auto begin = text.find("Error:");
  std::istringstream words(text.substr(begin == std::string::npos ? 0 : begin));
  std::string line;
  for (std::string word; words >> word && line.size() < 400;) line += (line.empty() ? "" : " ") + word;
  return shown_line(line.substr(0, 400));
}

// One call's dealings with the state of one key.
class Workspace {
 public:
  Workspace(const TerraformSettings& settings, const ProvisionRequest& request, const std::string& key,
            std::stop_token stop)
      : settings_(settings),
        request_(request),
        key_(key),
        stop_(std::move(stop)),
        // Absolute, since Terraform changes into the configuration's directory before it reads a path.
        folder_(std::filesystem::absolute(settings.state_dir).string() + "/terraform/" + key),
        deadline_(request.timeout > Millis{0} ? std::min(request.timeout, settings.timeout) : settings.timeout) {}

  Result<void> prepare(bool keep_variables);
  // What would happen, kept in a file that apply() takes exactly so.
  Result<TerraformPlan> plan(bool destroy);
  Result<void> apply(const TerraformPlan& plan, const Progress& progress);
  Result<std::string> outputs() { return run({"output", "-json", "-no-color", "-state=" + state()}); }
  bool has_state() const { return exists(state()); }

 private:
  std::string state() const { return folder_ + "/terraform.tfstate"; }
  std::string data() const { return folder_ + "/data"; }
  std::string variables() const { return folder_ + "/foreshadow.tfvars.json"; }
  std::string planned() const { return folder_ + "/plan"; }
  Result<void> write_variables();
  Result<std::string> run(const std::vector<std::string>& arguments,
                          const std::function<void(const std::string&)>& on_line = {});

  const TerraformSettings& settings_;
  const ProvisionRequest& request_;
  const std::string key_;
  const std::stop_token stop_;
  const std::string folder_;
  const io::Deadline deadline_;
};

Result<std::string> Workspace::run(const std::vector<std::string>& arguments,
                                   const std::function<void(const std::string&)>& on_line) {
  io::Command command{.argv = {settings_.binary, "-chdir=" + settings_.dir},
                      .environment = settings_.environment,
                      .working_dir = folder_,
                      .timeout = deadline_.left(),
                      .output_max = kOutputMax,
                      .on_stdout_line = on_line,
                      .interrupt_grace = kInterruptGrace};
  command.argv.insert(command.argv.end(), arguments.begin(), arguments.end());
  auto& environment = command.environment;
  environment["TF_DATA_DIR"] = data();
  environment["TF_CLI_CONFIG_FILE"] = folder_ + "/cli.tfrc";  // empty: no settings of whoever runs us
  environment["TF_IN_AUTOMATION"] = "1";
  environment["TF_INPUT"] = "0";
  environment["CHECKPOINT_DISABLE"] = "1";
  auto finished = io::run(command, stop_);
  const std::string what = settings_.binary + " " + arguments[0];
  if (!finished) return fail(finished.error().code, what + ": " + finished.error().what);
  if (finished->exit_code != 0)
    return fail(Code::refused, what + " failed with exit code " + std::to_string(finished->exit_code) + ": " +
                                   error_in(finished->err));
  if (finished->leftover > 0)
    return fail(Code::invalid,
                what + " left " + std::to_string(finished->leftover) +
                    " process(es) running, which were killed: services started by local-exec must leave its process "
                    "group (setsid, or the service manager)");
  return std::move(finished->out);
}

Result<void> Workspace::write_variables() {
  json values = json::object();
  for (const auto& [name, value] : settings_.variables) {
    if (name.starts_with("foreshadow_"))
      return fail(Code::invalid,
                  "variable '" + name + "': names beginning with foreshadow_ are set by Foreshadow; give it another");
    values[name] = value;
  }
  values["foreshadow_resource"] = request_.resource;
  values["foreshadow_key"] = key_;
  values["foreshadow_primary"] = instance_object(request_.primary);
  return io::write_file_durably(variables(), values.dump(2, ' ', false, json::error_handler_t::replace) + "\n");
}

Result<void> Workspace::prepare(bool keep_variables) {
  if (!exists(settings_.dir))
    return fail(Code::invalid, "the configuration's directory " + settings_.dir + " does not exist");
  FS_CHECK(io::make_directory(folder_));
  FS_CHECK(io::write_file_durably(folder_ + "/cli.tfrc", ""));
  // To destroy, the values it was made with; the request's primary may be another instance by now.
  if (!keep_variables || !exists(variables())) FS_CHECK(write_variables());
  FS_CHECK(run({"init", "-input=false", "-no-color"}));
  // It writes this only for a backend of the configuration's own.
  if (exists(data() + "/terraform.tfstate"))
    return fail(Code::invalid, "the configuration in " + settings_.dir +
                                   " declares a backend; remove it: Foreshadow keeps one local "
                                   "state for each shadow, so that giving one back cannot touch another");
  return {};
}

Result<TerraformPlan> Workspace::plan(bool destroy) {
  std::vector<std::string> arguments{"plan",
                                     "-input=false",
                                     "-no-color",
                                     "-lock-timeout=30s",
                                     "-state=" + state(),
                                     "-var-file=" + variables(),
                                     "-out=" + planned()};
  if (destroy) arguments.insert(arguments.begin() + 1, "-destroy");
  FS_CHECK(run(arguments));
  FS_TRY(text, run({"show", "-json", planned()}));
  return parse_terraform_plan(text);
}

Result<void> Workspace::apply(const TerraformPlan& plan, const Progress& progress) {
  const auto total = std::max<std::size_t>(plan.changes.size(), 1);
  std::size_t complete = 0;
  const auto show = [&](const std::string& line) {
    if (!progress || line.find_first_not_of(' ') == std::string::npos) return;
    if (line.find(": Creation complete") != std::string::npos ||
        line.find(": Modifications complete") != std::string::npos)
      ++complete;
    progress(0.1 + 0.8 * static_cast<double>(std::min(complete, total)) / static_cast<double>(total), shown_line(line));
  };
  FS_CHECK(run({"apply", "-input=false", "-no-color", "-lock-timeout=30s", "-state=" + state(), planned()}, show));
  return {};
}

std::string directory_of(const TerraformSettings& settings) { return settings.state_dir + "/terraform"; }

}  // namespace

Result<std::string> TerraformProvisioner::plan(const ProvisionRequest& request, std::stop_token stop) {
  const auto key = request.key.empty() ? "plan-" + request.resource : request.key;
  FS_TRY(provenance, Provenance::open(directory_of(settings_), key));
  Workspace workspace(settings_, request, key, std::move(stop));
  FS_CHECK(workspace.prepare(false));
  FS_TRY(plan, workspace.plan(false));
  auto text = settings_.binary + " in " + settings_.dir + ": " + plan_summary(plan);
  const auto ours = provenance.made() ? provenance.made()->addresses : std::vector<std::string>{};
  if (auto checked = check_makes(plan, ours); !checked) text += "\nWould be refused: " + checked.error().what;
  return text;
}

Result<Instance> TerraformProvisioner::provision(const ProvisionRequest& request, const Progress& progress,
                                                 std::stop_token stop) {
  FS_TRY(provenance, Provenance::open(directory_of(settings_), request.key));
  Made made = provenance.made().value_or(Made{.resource = request.resource});
  if (made.resource != request.resource)
    return fail(Code::conflict, "key " + request.key + " was used for resource " + made.resource);
  if (made.stage == Made::Stage::destroyed)
    return fail(Code::conflict,
                "what was made under key " + request.key + " has been given back; a new shadow needs a new key");
  Workspace workspace(settings_, request, request.key, std::move(stop));
  if (made.addresses.empty() && workspace.has_state())
    return fail(Code::conflict, "there is a state under key " + request.key + " that is not recorded as ours");
  FS_CHECK(workspace.prepare(false));
  if (progress) progress(0.05, "initialised");
  FS_TRY(plan, workspace.plan(false));
  FS_CHECK(check_makes(plan, made.addresses));
  if (progress) progress(0.1, plan_summary(plan).substr(0, 200));
  // Before anything exists: after a crash these, and only these, are ours to destroy.
  for (const auto& change : plan.changes)
    if (std::ranges::find(made.addresses, change.address) == made.addresses.end())
      made.addresses.push_back(change.address);
  if (made.addresses.empty())
    return fail(Code::invalid, "the configuration in " + settings_.dir + " creates nothing: it declares no resource");
  FS_CHECK(provenance.store(made));
  FS_CHECK(workspace.apply(plan, progress));
  FS_TRY(text, workspace.outputs());
  auto instance = parse_outputs(text, request.primary);
  if (!instance)
    return fail(instance.error().code, settings_.binary + " in " + settings_.dir + ": " + instance.error().what);
  if (made.instance && (made.instance->id != instance->id || made.instance->endpoint != instance->endpoint))
    return fail(Code::conflict,
                "key " + request.key + " gave " + made.instance->id + " before and " + instance->id + " now");
  made.stage = Made::Stage::made;
  made.instance = *instance;
  FS_CHECK(provenance.store(std::move(made)));
  if (progress) progress(1, instance->id + " at " + instance->endpoint.text());
  return instance;
}

Result<void> TerraformProvisioner::destroy(const ProvisionRequest& request, const Instance& instance,
                                           std::stop_token stop) {
  FS_TRY(provenance, Provenance::open(directory_of(settings_), request.key));
  FS_CHECK(provenance.confirm(request.resource, instance));
  auto made = *provenance.made();
  if (made.stage == Made::Stage::destroyed) return {};
  if (instance.id == request.primary.id || instance.endpoint == request.primary.endpoint)
    return fail(Code::refused, "not destroying " + instance.id + ": it is the primary");
  Workspace workspace(settings_, request, request.key, std::move(stop));
  FS_CHECK(workspace.prepare(true));
  // The state's own word on who this is, besides our record: somebody may have changed it by hand.
  FS_TRY(text, workspace.outputs());
  FS_TRY(empty, no_outputs(text));
  if (!empty) {
    FS_TRY(current, parse_outputs(text, request.primary));
    if (current.id != made.instance->id || current.endpoint != made.instance->endpoint)
      return fail(Code::refused, "not destroying " + instance.id + ": its state now describes " + current.id + " (" +
                                     current.endpoint.text() + ")");
  }
  FS_TRY(plan, workspace.plan(true));
  FS_CHECK(check_gives_back(plan, made.addresses));
  FS_CHECK(workspace.apply(plan, {}));
  made.stage = Made::Stage::destroyed;
  return provenance.store(std::move(made));
}

}  // namespace foreshadow::act
