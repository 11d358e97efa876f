#include "act/provision/command_provisioner.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "act/provision/instance_text.hpp"
#include "act/provision/progress_text.hpp"
#include "act/provision/provenance.hpp"

namespace foreshadow::act {
namespace {

using nlohmann::json;

json request_object(const char* action, const ProvisionRequest& request) {
  return {{"action", action},
          {"resource", request.resource},
          {"key", request.key},
          {"primary", instance_object(request.primary)}};
}

std::string line_of(const json& object) { return object.dump(-1, ' ', false, json::error_handler_t::replace) + "\n"; }

std::string joined(const std::vector<std::string>& argv) {
  std::string text;
  for (const auto& argument : argv) text += (text.empty() ? "" : " ") + argument;
  return text;
}

std::string last_line(const std::string& text) {
  const auto end = text.find_last_not_of("\r\n \t");
  if (end == std::string::npos) return "";
  const auto before = text.find_last_of('\n', end);
  return shown_line(std::string_view(text).substr(before == std::string::npos ? 0 : before + 1,
                                                  end - (before == std::string::npos ? 0 : before + 1) + 1));
}

std::string provenance_dir(const CommandSettings& settings) { return settings.state_dir + "/provisioned"; }

}  // namespace

Result<std::string> CommandProvisioner::run(const std::vector<std::string>& argv, const std::string& input,
                                            const ProvisionRequest& request, const Progress& progress,
                                            std::stop_token stop) const {
  io::Command command{
      .argv = argv, .working_dir = settings_.working_dir, .standard_input = input, .timeout = settings_.timeout};
  if (request.timeout > Millis{0}) command.timeout = std::min(command.timeout, request.timeout);
  double fraction = 0;
  if (progress)
    command.on_stderr_line = [&](const std::string& line) {
      fraction = std::max(fraction, percentage_in(line).value_or(0));
      progress(fraction, shown_line(line));
    };
  auto finished = io::run(command, std::move(stop));
  if (!finished) return fail(finished.error().code, "provisioner " + finished.error().what);
  if (finished->exit_code != 0) {
    const auto said = last_line(finished->err);
    return fail(Code::refused, "provisioner " + argv[0] + " failed with exit code " +
                                   std::to_string(finished->exit_code) + (said.empty() ? "" : ": " + said));
  }
  if (finished->leftover > 0)
    return fail(Code::invalid,
                "provisioner " + argv[0] + " left " + std::to_string(finished->leftover) +
                    " process(es) running, which were killed: start services through the system's service manager "
                    "or with setsid, so that they do not belong to the provisioner");
  return std::move(finished->out);
}

Result<std::string> CommandProvisioner::plan(const ProvisionRequest& request, std::stop_token) {
  return "run " + joined(settings_.argv) + " (at most " + std::to_string(settings_.timeout.count() / 1000) +
         " s) to make a shadow of " + request.primary.id + "; given back with " + joined(settings_.destroy);
}

Result<Instance> CommandProvisioner::provision(const ProvisionRequest& request, const Progress& progress,
                                               std::stop_token stop) {
  FS_TRY(provenance, Provenance::open(provenance_dir(settings_), request.key));
  std::optional<Instance> before;
  if (const auto& made = provenance.made()) {
    if (made->resource != request.resource)
      return fail(Code::conflict, "key " + request.key + " was used for resource " + made->resource);
    if (made->stage == Made::Stage::destroyed)
      return fail(Code::conflict,
                  "what was made under key " + request.key + " has been given back; a new shadow needs a new key");
    before = made->instance;
  }
  if (!before) FS_CHECK(provenance.store({.stage = Made::Stage::begun, .resource = request.resource}));
  FS_TRY(out, run(settings_.argv, line_of(request_object("provision", request)), request, progress, std::move(stop)));
  auto instance = parse_instance(out, request.primary);
  if (!instance) return fail(instance.error().code, "provisioner " + settings_.argv[0] + ": " + instance.error().what);
  if (before &&
      (before->id != instance->id || before->endpoint != instance->endpoint || before->data_dir != instance->data_dir))
    return fail(Code::conflict, "provisioner " + settings_.argv[0] + ": gave " + before->id + " (" +
                                    before->endpoint.text() + ") for key " + request.key + " before and " +
                                    instance->id + " (" + instance->endpoint.text() +
                                    ") now; the same key must give the same instance");
  FS_CHECK(provenance.store({.stage = Made::Stage::made, .resource = request.resource, .instance = *instance}));
  return instance;
}

Result<Instance> CommandProvisioner::rebuild(const ProvisionRequest& request, const Instance& instance,
                                             const Instance& serving, const Progress& progress, std::stop_token stop) {
  if (settings_.rebuild.empty()) return Provisioner::rebuild(request, instance, serving, progress, std::move(stop));
  if (instance.id == serving.id || instance.endpoint == serving.endpoint)
    return fail(Code::refused, "not rebuilding " + instance.id + ": it is the instance that serves");
  // One at a time, also with a provision under the same key.
  FS_TRY(provenance, Provenance::open(provenance_dir(settings_),
                                      request.key.empty() ? "rebuild-" + request.resource : request.key));
  auto input = request_object("rebuild", request);
  input["instance"] = instance_object(instance);
  input["serving"] = instance_object(serving);
  FS_TRY(out, run(settings_.rebuild, line_of(input), request, progress, std::move(stop)));
  auto rebuilt = parse_instance(out, serving);
  if (!rebuilt) return fail(rebuilt.error().code, "provisioner " + settings_.rebuild[0] + ": " + rebuilt.error().what);
  return rebuilt;
}

Result<void> CommandProvisioner::destroy(const ProvisionRequest& request, const Instance& instance,
                                         std::stop_token stop) {
  FS_TRY(provenance, Provenance::open(provenance_dir(settings_), request.key));
  FS_CHECK(provenance.confirm(request.resource, instance));
  auto made = *provenance.made();
  if (made.stage == Made::Stage::destroyed) return {};
  if (instance.id == request.primary.id || instance.endpoint == request.primary.endpoint)
    return fail(Code::refused, "not destroying " + instance.id + ": it is the primary");
  auto input = request_object("destroy", request);
  input["instance"] = instance_object(*made.instance);
  FS_TRY(out, run(settings_.destroy, line_of(input), request, {}, std::move(stop)));
  made.stage = Made::Stage::destroyed;
  return provenance.store(std::move(made));
}

}  // namespace foreshadow::act
