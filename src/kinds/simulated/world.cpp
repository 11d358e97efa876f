#include "kinds/simulated/world.hpp"

namespace foreshadow::kinds::simulated {

Role World::role(const InstanceId& id) {
  const std::lock_guard lock(mutex_);
  return nodes_[id].role;
}

std::vector<std::string> World::log(const InstanceId& id) {
  const std::lock_guard lock(mutex_);
  return nodes_[id].log;
}

Result<void> World::append(const InstanceId& id, const std::string& line) {
  const std::lock_guard lock(mutex_);
  auto& node = nodes_[id];
  if (node.role != Role::primary) return fail(Code::refused, id + " takes no writes");
  node.log.push_back(line);
  copy_to_followers(id);
  return {};
}

void World::cut(const InstanceId& id, bool off) {
  const std::lock_guard lock(mutex_);
  auto& node = nodes_[id];
  node.cut = off;
  if (!off && node.follows) copy_to_followers(*node.follows);
}

Result<void> World::follow(const InstanceId& primary, const InstanceId& standby) {
  const std::lock_guard lock(mutex_);
  if (primary == standby) return fail(Code::invalid, "an instance cannot follow itself");
  if (nodes_[primary].role != Role::primary) return fail(Code::refused, primary + " is not a primary");
  auto& node = nodes_[standby];
  node.role = Role::standby;
  node.follows = primary;
  copy_to_followers(primary);
  return {};
}

void World::leave(const InstanceId& standby) {
  const std::lock_guard lock(mutex_);
  nodes_[standby].follows.reset();
}

std::optional<InstanceId> World::follows(const InstanceId& id) {
  const std::lock_guard lock(mutex_);
  return nodes_[id].follows;
}

void World::fence(const InstanceId& id) {
  const std::lock_guard lock(mutex_);
  nodes_[id].role = Role::fenced;
}

Result<void> World::promote(const InstanceId& id) {
  const std::lock_guard lock(mutex_);
  auto& node = nodes_[id];
  if (node.role == Role::fenced) return fail(Code::refused, id + " is fenced");
  node.role = Role::primary;
  node.follows.reset();
  return {};
}

void World::revive(const InstanceId& id) {
  const std::lock_guard lock(mutex_);
  nodes_[id].role = Role::primary;
}

void World::copy_to_followers(const InstanceId& id) {
  const auto& log = nodes_[id].log;
  for (auto& [name, node] : nodes_)
    if (node.role == Role::standby && node.follows == id && !node.cut) node.log = log;
}

}  // namespace foreshadow::kinds::simulated
