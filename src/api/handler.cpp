#include "api/handler.hpp"

#include <fmt/format.h>

#include <utility>

#include "api/admission.hpp"
#include "api/command_json.hpp"

namespace foreshadow::api {
namespace {

using nlohmann::json;

// Both are shown to people and kept in the journal for good.
constexpr std::size_t kActorBytesMax = 128;
constexpr std::size_t kReasonBytesMax = 1024;

Result<json> parse_status(const std::string& text) {
  auto status = json::parse(text, nullptr, false);
  if (!status.is_object()) return fail(Code::unreachable, "the controller is still starting; ask again");
  return status;
}

}  // namespace

Handler::Handler(Seams seams) : seams_(std::move(seams)) {}

Result<json> Handler::operator()(const json& request) const try {
  const auto verb = request.at("verb").get<std::string>();
  if (verb == "ping") return json{{"role", "controller"}, {"version", FORESHADOW_VERSION}};
  if (verb == "status") return parse_status(seams_.snapshot());
  if (verb == "command") return command(request);
  if (verb == "plan") return seams_.plan(request.at("resource").get<std::string>());
  return fail(Code::invalid, fmt::format("unknown verb '{}'; there are: ping, status, command, plan", verb));
} catch (const json::exception& e) {
  return fail(Code::invalid, fmt::format("the request cannot be read: {}", e.what()));
}

Result<json> Handler::command(const json& request) const {
  const auto resource = request.at("resource").get<std::string>();
  FS_TRY(given, decode<Command>(request.at("command")));
  if (given.actor.empty() || given.actor.size() > kActorBytesMax)
    return fail(Code::invalid, fmt::format("a command needs an actor of 1 to {} bytes", kActorBytesMax));
  if (given.reason.size() > kReasonBytesMax)
    return fail(Code::invalid, fmt::format("the reason is longer than {} bytes", kReasonBytesMax));
  if (given.target.size() > kActorBytesMax)
    return fail(Code::invalid, fmt::format("the target is longer than {} bytes", kActorBytesMax));
  FS_TRY(status, parse_status(seams_.snapshot()));
  FS_TRY(note, admit(status, resource, given));
  FS_CHECK(seams_.submit(resource, given));
  return json{{"accepted", true}, {"note", note}};
}

}  // namespace foreshadow::api
