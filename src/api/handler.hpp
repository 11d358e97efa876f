// The controller's answers on its socket: {"verb": "ping" | "status" | "command" | "plan"}. Reads a snapshot and
// submits events; it never touches the engine. Called from several RPC threads at the same time, and so are its seams.
#pragma once

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "base/result.hpp"
#include "domain/event.hpp"

namespace foreshadow::api {

struct Seams {
  // The newest status as text (see status_json); cheap, since the engine's strand prepares it.
  std::function<std::string()> snapshot;
  // Returns once the engine will see the command. Empty resource: all of them.
  std::function<Result<void>(const ResourceId&, const Command&)> submit;
  // The newest plan for one resource (see plan_json); changes nothing.
  std::function<Result<nlohmann::json>(const ResourceId&)> plan;
};

class Handler {
 public:
  explicit Handler(Seams seams);
  Result<nlohmann::json> operator()(const nlohmann::json& request) const;

 private:
  Result<nlohmann::json> command(const nlohmann::json& request) const;

  Seams seams_;
};

}  // namespace foreshadow::api
