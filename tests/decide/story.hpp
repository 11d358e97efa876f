// Tells a resource's story to decide, one event at a time, and answers its effects. For tests that read like a log.
#pragma once

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "decide/step.hpp"
#include "domain/names.hpp"

namespace foreshadow::decide {

class Story {
 public:
  static constexpr const char* name = "db";

  explicit Story(bool shares_data = false, Policy p = act_policy()) : policy(p) {
    resource.id = name;
    resource.traits = {shares_data, !shares_data, true};
    resource.primary.id = "old";
    resource.primary.endpoint = {"127.0.0.1", 1};
    resource.segments = {{"reports", false, false, Millis{5000}, 0.1}, {"writes", true, shares_data, Millis{0}, 0.9}};
    tell(Started{1, "test"}, "");
    tell(PolicySet{resource, policy});
  }

  static Policy act_policy() {
    Policy p;
    p.autonomy = Autonomy::act;
    p.shadowing = {0.5, Millis{30'000}};
    p.critical = {0.8, Millis{10'000}};
    p.budget.cooldown = Millis{10'000};
    return p;
  }

  void tell(EventBody body, ResourceId to = name) {
    auto next = step(std::move(state), Event{now, std::move(to), std::move(body)});
    state = std::move(next.state);
    for (auto& e : next.effects) effects.push_back(e);
    for (const auto id : next.cancellations) cancelled.push_back(id);
  }
  void pass(Millis d) {
    now += d;
    tell(Ticked{}, "");
  }
  void outlook(double shadowing_score, double critical_score, std::optional<Millis> left = {}) {
    Outlook o;
    o.known = true;
    o.resource = name;
    o.at = now;
    o.scores = {{Millis{10'000}, critical_score, 0, 1}, {Millis{30'000}, shadowing_score, 0, 1}};
    o.time_to_limit = left;
    o.reasons = {{"volume_available_bytes", shadowing_score, 1, 0, left, "the volume fills"}};
    tell(OutlookMade{o});
  }
  void evidence(std::uint64_t mirrored, std::uint64_t errors = 0) {
    Evidence e;
    for (const auto& s : resource.segments) {
      SegmentEvidence one;
      one.segment = s.id;
      one.mirrored = mirrored;
      one.mirror_errors = errors;
      one.other_requests = mirrored;
      one.other_errors = errors;
      e.segments.push_back(one);
    }
    e.gateways = {{"edge", "edge#1"}};
    tell(e);
  }

  // The newest effect of this type that has not answered.
  template <class T>
  const Effect* open() const {
    const auto& pending = l().pending;
    for (auto it = pending.rbegin(); it != pending.rend(); ++it)
      if (std::holds_alternative<T>(it->effect.body)) return &it->effect;
    return nullptr;
  }
  template <class T>
  const T& body() const {
    return std::get<T>(open<T>()->body);
  }
  template <class T>
  void answer(EffectDone done = {}) {
    const auto* effect = open<T>();
    ASSERT_NE(effect, nullptr) << "no open " << name_of(EffectBody{T{}}) << " in " << to_string(l().phase) << "/"
                               << to_string(l().step);
    done.id = effect->id;
    tell(done);
  }
  template <class T>
  void refuse(Code code = Code::refused, std::string what = "no") {
    EffectDone done;
    done.error = Error{code, std::move(what)};
    answer<T>(done);
  }
  // Steers are answered as they come: most stories are not about them.
  void settle_steers() {
    while (open<Steer>()) answer<Steer>();
  }

  void to_provisioning() { outlook(0.6, 0.1, Millis{25'000}); }
  void to_mirroring() {
    to_provisioning();
    EffectDone provisioned;
    provisioned.instance = shadow();
    answer<Provision>(provisioned);
    answer<Replicate>();
    settle_steers();
  }
  void to_shifting() {
    to_mirroring();
    evidence(100);
    settle_steers();
    outlook(0.95, 0.9, Millis{9'000});
    settle_steers();
  }
  void to_holding() {
    to_shifting();
    prepared();
  }
  // Kinds that share their data prepare nothing.
  void prepared() {
    if (open<Prepare>()) answer<Prepare>();
  }
  void held() {
    prepared();
    EffectDone done;
    done.acks = {{"edge", "edge#1"}};
    answer<Hold>(done);
  }
  void proven() {
    EffectDone done;
    done.proof = "0/16B3748";
    answer<ProveEqual>(done);
  }
  void to_watching() {
    to_holding();
    held();
    proven();
    answer<Seal>();
    if (!resource.traits.shares_data) {
      answer<Fence>();
      answer<CheckFenced>();
      answer<Promote>();
    }
    settle_steers();
    if (!resource.traits.shares_data) answer<Rejoin>();
    settle_steers();
  }

  static Instance shadow() {
    Instance i;
    i.id = "new";
    i.endpoint = {"127.0.0.1", 2};
    return i;
  }

  const Lifecycle& l() const { return state.resources.at(name); }
  template <class T>
  int started() const {
    int n = 0;
    for (const auto& e : effects) n += std::holds_alternative<T>(e.body) ? 1 : 0;
    return n;
  }

  Resource resource;
  Policy policy;
  State state;
  Time now = time_from_ms(1'000'000);
  std::vector<Effect> effects;
  std::vector<EffectId> cancelled;
};

}  // namespace foreshadow::decide
