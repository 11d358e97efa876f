#include "kinds/simulated/ports.hpp"

#include <fmt/format.h>

#include <charconv>
#include <map>
#include <mutex>
#include <utility>

namespace foreshadow::kinds::simulated {
namespace {

class Replicator final : public act::Replicator {
 public:
  explicit Replicator(std::shared_ptr<World> world) : world_(std::move(world)) {}

  Result<std::string> follow(const Instance& primary, const Instance& shadow, Millis, const act::Progress& progress,
                             std::stop_token stop) override {
    if (stop.stop_requested()) return fail(Code::cancelled, "told to stop");
    FS_CHECK(world_->follow(primary.id, shadow.id));
    if (progress) progress(1.0, "copied");
    return fmt::format("{} follows {}", shadow.id, primary.id);
  }
  Result<act::ReplicaState> state(const Instance& primary, const Instance& shadow, std::stop_token) override {
    act::ReplicaState out;
    out.following = world_->follows(shadow.id) == primary.id;
    if (!out.following) return out;
    std::uint64_t behind = 0;
    const auto all = world_->log(primary.id);
    for (auto i = world_->log(shadow.id).size(); i < all.size(); ++i) behind += all[i].size();
    out.lag_bytes = behind;
    // How long ago the missing lines were written nobody has noted: unknown, unless nothing is missing.
    if (behind == 0) out.lag = Millis{0};
    return out;
  }
  Result<void> forget(const Instance&, const Instance& shadow, std::stop_token) override {
    world_->leave(shadow.id);
    return {};
  }

 private:
  std::shared_ptr<World> world_;
};

class Promoter final : public act::Promoter {
 public:
  explicit Promoter(std::shared_ptr<World> world) : world_(std::move(world)) {}

  Result<std::string> prepare(const act::Authority& who, const Instance& primary, const Instance& shadow,
                              std::stop_token) override {
    FS_CHECK(obey(who));
    if (world_->role(shadow.id) == Role::primary) return fail(Code::refused, shadow.id + " takes writes");
    return fmt::format("{} lacks {} lines of {}", shadow.id,
                       world_->log(primary.id).size() - world_->log(shadow.id).size(), primary.id);
  }
  Result<std::string> prove_equal(const act::Authority& who, const Instance& primary, const Instance& shadow,
                                  std::stop_token) override {
    FS_CHECK(obey(who));
    const auto lines = world_->log(primary.id).size();
    if (const auto copied = world_->log(shadow.id).size(); copied != lines)
      return fail(Code::timeout, fmt::format("{} has {} lines of {}", shadow.id, copied, lines));
    return std::to_string(lines);
  }
  Result<std::string> fence(const act::Authority& who, const Instance& primary, const Instance&,
                            std::stop_token) override {
    FS_CHECK(obey(who));
    world_->fence(primary.id);
    return primary.id + " takes no writes";
  }
  Result<act::Finding> check_fenced(const act::Authority& who, const Instance& primary, const Instance&,
                                    const std::string& proof, std::stop_token) override {
    FS_CHECK(obey(who));
    if (world_->role(primary.id) != Role::fenced) return fail(Code::refused, primary.id + " is not fenced");
    std::size_t proven = 0;
    const auto [end, error] = std::from_chars(proof.data(), proof.data() + proof.size(), proven);
    if (error != std::errc{} || end != proof.data() + proof.size())
      return fail(Code::invalid, "'" + proof + "' is not a number of lines");
    const auto lines = world_->log(primary.id).size();
    if (lines > proven)
      return fail(Code::conflict, fmt::format("{} lines past the proof of {}", lines - proven, proven));
    return act::Finding{fmt::format("{} lines, none past the proof", lines)};
  }
  Result<act::Finding> assess(const act::Authority& who, const Instance& primary, const Instance& shadow,
                              std::uint64_t loss_max_bytes, std::stop_token) override {
    FS_CHECK(obey(who));
    if (world_->role(primary.id) != Role::fenced) return fail(Code::refused, primary.id + " is not fenced");
    const auto all = world_->log(primary.id);
    std::uint64_t lost = 0;
    for (auto i = world_->log(shadow.id).size(); i < all.size(); ++i) lost += all[i].size();
    if (lost > loss_max_bytes)
      return fail(Code::refused, fmt::format("{} lacks {} bytes of {}", shadow.id, lost, primary.id));
    return act::Finding{fmt::format("{} bytes are lost", lost), {{"lost_bytes", std::to_string(lost)}}};
  }
  Result<std::string> promote(const act::Authority& who, const Instance& shadow, std::stop_token) override {
    FS_CHECK(obey(who));
    FS_CHECK(world_->promote(shadow.id));
    const std::lock_guard lock(mutex_);
    promoted_[who.resource] = who.epoch;
    return shadow.id + " takes writes";
  }
  Result<bool> writable(const Instance& instance, std::stop_token) override {
    return world_->role(instance.id) == Role::primary;
  }
  Result<std::string> revive(const act::Authority& who, const Instance& primary, std::stop_token) override {
    FS_CHECK(obey(who));
    {
      const std::lock_guard lock(mutex_);
      if (const auto it = promoted_.find(who.resource); it != promoted_.end() && it->second >= who.epoch)
        return fail(Code::refused, fmt::format("epoch {} has promoted another", it->second));
    }
    world_->revive(primary.id);
    return primary.id + " takes writes again";
  }
  Result<std::string> rejoin(const act::Authority& who, const Instance& old_primary, const Instance& primary,
                             std::stop_token) override {
    FS_CHECK(obey(who));
    if (world_->role(old_primary.id) == Role::primary) return fail(Code::refused, old_primary.id + " takes writes");
    FS_CHECK(world_->follow(primary.id, old_primary.id));
    return fmt::format("{} follows {}", old_primary.id, primary.id);
  }

 private:
  // A stale controller is refused. A kind with real instances leaves this to the agent on their host.
  Result<void> obey(const act::Authority& who) {
    const std::lock_guard lock(mutex_);
    auto& seen = obeyed_[who.resource];
    if (who.term < seen.term || who.epoch < seen.epoch)
      return fail(Code::conflict, fmt::format("term {} epoch {} is stale: term {} epoch {} was obeyed", who.term,
                                              who.epoch, seen.term, seen.epoch));
    seen = who;
    return {};
  }

  std::shared_ptr<World> world_;
  std::mutex mutex_;
  std::map<ResourceId, act::Authority> obeyed_;
  std::map<ResourceId, std::uint64_t> promoted_;
};

class LogSource final : public observe::Source {
 public:
  LogSource(std::shared_ptr<World> world, InstanceId instance)
      : world_(std::move(world)), instance_(std::move(instance)) {}
  std::string name() const override { return "simulated " + instance_; }
  Result<std::vector<observe::Reading>> scrape(std::stop_token) override {
    return std::vector<observe::Reading>{
        {instance_, "probe_up", world_->role(instance_) == Role::fenced ? 0.0 : 1.0},
        {instance_, "simulated_log_lines", static_cast<double>(world_->log(instance_).size())}};
  }

 private:
  std::shared_ptr<World> world_;
  InstanceId instance_;
};

}  // namespace

std::unique_ptr<act::Replicator> make_replicator(std::shared_ptr<World> world) {
  return std::make_unique<Replicator>(std::move(world));
}
std::unique_ptr<act::Promoter> make_promoter(std::shared_ptr<World> world) {
  return std::make_unique<Promoter>(std::move(world));
}
std::unique_ptr<observe::Source> make_source(std::shared_ptr<World> world, InstanceId instance) {
  return std::make_unique<LogSource>(std::move(world), std::move(instance));
}

}  // namespace foreshadow::kinds::simulated
