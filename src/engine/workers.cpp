#include "engine/workers.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <utility>
#include <vector>

#include "base/log.hpp"
#include "base/units.hpp"

namespace foreshadow::engine {
namespace {

template <class T>
EffectDone failed_or(const Result<T>& result, std::function<void(EffectDone&, const T&)> fill) {
  EffectDone done;
  if (!result) done.error = result.error();
  else fill(done, *result);
  return done;
}
EffectDone told(const Result<std::string>& result) {
  return failed_or<std::string>(result, [](EffectDone& done, const std::string& text) { done.detail = text; });
}
EffectDone found(const Result<act::Finding>& result) {
  return failed_or<act::Finding>(result, [](EffectDone& done, const act::Finding& finding) {
    done.detail = finding.text;
    done.facts = finding.facts;
  });
}
EffectDone done_or(const Result<void>& result, std::string detail) {
  EffectDone done;
  if (!result) done.error = result.error();
  else done.detail = std::move(detail);
  return done;
}
EffectDone acknowledged(const Result<std::vector<GatewayAck>>& result) {
  return failed_or<std::vector<GatewayAck>>(result, [](EffectDone& done, const std::vector<GatewayAck>& acks) {
    done.acks = acks;
    done.detail = fmt::format("{} gateways acknowledged", acks.size());
  });
}

// Does one effect with a resource's ports. Every branch is one call of a port; what needs more than one says why.
struct Doer {
  const Effect& effect;
  Ports& ports;
  const act::Progress& progress;
  std::stop_token stop;

  act::Authority authority(std::uint64_t epoch) const { return {effect.resource, effect.term, epoch}; }

  EffectDone operator()(const Provision& e) const {
    const act::ProvisionRequest request{effect.resource, e.primary, provision_key(effect.resource, effect.id), e.timeout};
    return failed_or<Instance>(ports.provisioner->provision(request, progress, stop),
                               [](EffectDone& done, const Instance& instance) {
                                 done.instance = instance;
                                 done.detail = fmt::format("{} at {}", instance.id, instance.endpoint.text());
                               });
  }
  EffectDone operator()(const Replicate& e) const {
    return told(ports.replicator->follow(e.primary, e.shadow, e.timeout, progress, stop));
  }
  EffectDone operator()(const Steer& e) const {
    auto table = e.table;
    table.term = effect.term;
    return acknowledged(ports.steer->apply(table, stop));
  }
  EffectDone operator()(const Prepare& e) const {
    return told(ports.promoter->prepare(authority(e.next_epoch), e.primary, e.shadow, stop));
  }
  EffectDone operator()(const Hold& e) const {
    return acknowledged(ports.steer->hold(effect.resource, effect.term, e.next_epoch, e.policy, e.abandon, stop));
  }
  EffectDone operator()(const ProveEqual& e) const {
    return failed_or<std::string>(ports.promoter->prove_equal(authority(e.next_epoch), e.primary, e.shadow, stop),
                                  [](EffectDone& done, const std::string& proof) {
                                    done.proof = proof;
                                    done.detail = proof;
                                  });
  }
  EffectDone operator()(const Seal& e) const {
    return done_or(ports.steer->seal(effect.resource, effect.term, e.next_epoch, e.acks, stop), "sealed");
  }
  EffectDone operator()(const Fence& e) const {
    if (auto same = same_gateways(e.acks, Silent::refused); !same) return done_or(same, "");
    return told(ports.promoter->fence(authority(e.next_epoch), e.primary, e.shadow, stop));
  }
  EffectDone operator()(const CheckFenced& e) const {
    return found(ports.promoter->check_fenced(authority(e.next_epoch), e.primary, e.shadow, e.proof, stop));
  }
  EffectDone operator()(const Assess& e) const {
    return found(ports.promoter->assess(authority(e.next_epoch), e.primary, e.shadow, e.loss_max_bytes, stop));
  }
  EffectDone operator()(const Promote& e) const {
    if (auto same = same_gateways(e.acks, Silent::tolerated); !same) return done_or(same, "");
    return told(ports.promoter->promote(authority(e.next_epoch), e.shadow, stop));
  }
  EffectDone operator()(const Release& e) const {
    return done_or(ports.steer->release(effect.resource, effect.term, e.next_epoch, stop), "released");
  }
  EffectDone operator()(const Revive& e) const {
    return told(ports.promoter->revive(authority(e.next_epoch), e.primary, stop));
  }
  EffectDone operator()(const Rejoin& e) const {
    return told(ports.promoter->rejoin(authority(e.epoch), e.old_primary, e.primary, stop));
  }
  EffectDone operator()(const Retire& e) const {
    if (e.instance.id == e.serving.id || e.instance.endpoint == e.serving.endpoint)
      return done_or(fail(Code::refused, e.instance.id + " serves: it is not retired"), "");
    const act::ProvisionRequest request{effect.resource, e.serving, e.key, std::chrono::minutes{10}};
    if (auto forgotten = ports.replicator->forget(e.serving, e.instance, stop); !forgotten)
      log::warn("{}: {} may still be known to its primary: {}", effect.resource, e.instance.id, forgotten.error().what);
    if (e.rebuild) {
      auto rebuilt = ports.provisioner->rebuild(request, e.instance, e.serving, progress, stop);
      if (!rebuilt) return done_or(tl::make_unexpected(rebuilt.error()), "");
      auto done = told(ports.replicator->follow(e.serving, *rebuilt, std::chrono::minutes{30}, progress, stop));
      done.instance = *rebuilt;
      return done;
    }
    if (e.key.empty()) return done_or(fail(Code::refused, e.instance.id + " was not made by us: it is left as it is"), "");
    return done_or(ports.provisioner->destroy(request, e.instance, stop), e.instance.id + " given back");
  }
  EffectDone operator()(const Page&) const { return {}; }

  // Before the fence every gateway must answer that it is sealed. Once the fence is proven, one that is silent had sealed
  // durably and boots into it: waiting for it would only keep everybody else parked.
  enum class Silent { refused, tolerated };
  Result<void> same_gateways(const std::vector<GatewayAck>& acks, Silent silent) const {
    FS_TRY(reports, ports.steer->report(effect.resource, stop));
    for (const auto& ack : acks) {
      const auto report = std::find_if(reports.begin(), reports.end(), [&](const auto& r) { return r.gateway == ack.gateway; });
      if (report == reports.end() && silent == Silent::refused)
        return fail(Code::unreachable, "gateway " + ack.gateway + " does not answer");
      if (report != reports.end() && report->hold != HoldState::sealed)
        return fail(Code::conflict, "gateway " + ack.gateway + " is not sealed");
    }
    return {};
  }
};

}  // namespace

struct Workers::Job {
  std::stop_source stop;
  std::atomic<bool> finished{false};
  std::jthread thread;
};

Workers::Workers(std::map<ResourceId, Ports> ports, Post post, TellPerson tell_person)
    : ports_(std::move(ports)), post_(std::move(post)), tell_person_(std::move(tell_person)) {}

Workers::~Workers() {
  for (auto& [id, job] : jobs_) job->stop.request_stop();
  jobs_.clear();
}

void Workers::start(const Effect& effect) {
  reap();
  if (jobs_.contains(effect.id)) return;  // it runs already and will answer once
  auto job = std::make_unique<Job>();
  auto* raw = job.get();
  raw->thread = std::jthread([this, raw, effect] {
    auto done = run(effect, raw->stop.get_token());
    done.id = effect.id;
    log::info("{}: {} #{} {}: {}", effect.resource, name_of(effect.body), effect.id, done.error ? "failed" : "done",
              done.error ? done.error->what : done.detail);
    post_(Event{{}, effect.resource, std::move(done)});
    raw->finished = true;
  });
  jobs_.emplace(effect.id, std::move(job));
}

void Workers::cancel(EffectId id) {
  if (const auto it = jobs_.find(id); it != jobs_.end()) it->second->stop.request_stop();
}

EffectDone Workers::run(const Effect& effect, std::stop_token stop) {
  EffectDone done;
  if (const auto* page = std::get_if<Page>(&effect.body)) {
    tell_person_(effect.resource, page->text);
    return done;
  }
  const auto it = ports_.find(effect.resource);
  if (it == ports_.end()) {
    done.error = Error{Code::refused, "resource " + effect.resource + " is no longer configured"};
    return done;
  }
  // At most a hundred steps of progress a job, however chatty its driver.
  int last_percent = -1;
  const act::Progress progress = [&](double fraction, const std::string& detail) {
    const int percent = static_cast<int>(std::clamp(fraction, 0.0, 1.0) * 100);
    if (percent <= last_percent) return;
    last_percent = percent;
    post_(Event{{}, effect.resource, EffectProgress{effect.id, fraction, detail}});
  };
  return std::visit(Doer{effect, it->second, progress, stop}, effect.body);
}

void Workers::reap() { std::erase_if(jobs_, [](const auto& job) { return job.second->finished.load(); }); }

}  // namespace foreshadow::engine
