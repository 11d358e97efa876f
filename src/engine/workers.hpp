// The real hands: each effect on a thread of its own, its answer posted to the inbox. Asks only the ports; knows no kind.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <stop_token>
#include <thread>

#include "act/promote/promoter.hpp"
#include "act/provision/provisioner.hpp"
#include "act/replicate/replicator.hpp"
#include "act/steer/steer.hpp"
#include "engine/hands.hpp"
#include "engine/inbox.hpp"

namespace foreshadow::engine {

// What one resource's effects are done with. Every pointer is set; what a kind cannot do it refuses.
struct Ports {
  std::unique_ptr<act::Provisioner> provisioner;
  std::unique_ptr<act::Replicator> replicator;
  std::unique_ptr<act::Promoter> promoter;
  std::unique_ptr<act::Steer> steer;
};

// start() and cancel() are called from the engine's strand only.
class Workers final : public Hands {
 public:
  using Post = std::function<void(Event)>;
  using TellPerson = std::function<void(const ResourceId&, const std::string&)>;

  Workers(std::map<ResourceId, Ports> ports, Post post, TellPerson tell_person);
  // Asks everything to stop, then joins.
  ~Workers() override;

  void start(const Effect& effect) override;
  void cancel(EffectId id) override;

 private:
  struct Job;
  EffectDone run(const Effect& effect, std::stop_token stop);
  void reap();

  std::map<ResourceId, Ports> ports_;
  Post post_;
  TellPerson tell_person_;
  std::map<EffectId, std::unique_ptr<Job>> jobs_;
};

}  // namespace foreshadow::engine
