#include "app/bypass_marker.hpp"

#include <fmt/format.h>

#include <filesystem>

#include "api/command_json.hpp"
#include "io/files.hpp"

namespace foreshadow::app {
namespace {

std::string path_of(const std::string& state_dir, const ResourceId& resource) {
  return fmt::format("{}/bypass-{}.json", state_dir, resource);
}

}  // namespace

Result<void> leave_bypass(const std::string& state_dir, const ResourceId& resource, const Command& command) {
  return io::write_file_durably(path_of(state_dir, resource), encode(command) + "\n");
}

Result<std::optional<Command>> left_bypass(const std::string& state_dir, const ResourceId& resource) {
  const auto text = io::read_file(path_of(state_dir, resource));
  if (!text && text.error().code == Code::unreachable) return std::optional<Command>{};
  if (!text) return tl::make_unexpected(text.error());
  auto command = decode<Command>(std::string_view(*text));
  if (!command || (command->verb != Verb::bypass && command->verb != Verb::end_bypass))
    return fail(Code::invalid, fmt::format("{}: not a bypass; remove the file", path_of(state_dir, resource)));
  return std::optional<Command>{std::move(*command)};
}

void forget_bypass(const std::string& state_dir, const ResourceId& resource) {
  std::error_code ignored;
  std::filesystem::remove(path_of(state_dir, resource), ignored);
}

}  // namespace foreshadow::app
