// A real journal of a real decision: events go through decide, intents and answers into a SQLite file, as the engine
// does.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "decide/state_json.hpp"
#include "decide/step.hpp"
#include "journal/sqlite_journal.hpp"

namespace foreshadow::app {

class Recorded {
 public:
  explicit Recorded(const std::string& name)
      : dir_(std::filesystem::temp_directory_path() / ("fs-app-" + std::to_string(::getpid()) + "-" + name)) {
    std::filesystem::remove_all(dir_);
    std::filesystem::create_directories(dir_);
    begin_term();
  }
  ~Recorded() { std::filesystem::remove_all(dir_); }

  std::string dir() const { return dir_.string(); }
  std::string path() const { return (dir_ / "journal.db").string(); }
  const decide::State& state() const { return state_; }
  journal::SqliteJournal& journal() { return *journal_; }

  void begin_term() {
    journal_ =
        std::make_unique<journal::SqliteJournal>(journal::SqliteSettings{.path = path(), .retention = {}, .vfs = {}});
    const auto recovery = journal_->open();
    ASSERT_TRUE(recovery) << recovery.error().what;
    take("", Started{recovery->term, "test"});
  }
  void end_term() { journal_.reset(); }

  void take(const ResourceId& resource, EventBody body) {
    now_ += Millis{10};
    const Event event{now_, resource, std::move(body)};
    ASSERT_TRUE(journal_->append(event, must_be_durable(event.body)));
    auto next = decide::step(std::move(state_), event);
    state_ = std::move(next.state);
    for (const auto& effect : next.effects) {
      ASSERT_TRUE(journal_->intend(effect, state_.now, true));
      started_.push_back(effect);
    }
  }
  void snapshot() { ASSERT_TRUE(journal_->snapshot(state_.now, decide::encode_state(state_))); }
  void wait(Millis time) { now_ += time; }
  void flush() { ASSERT_TRUE(journal_->flush()); }

  // Answers everything started so far, and what that starts, as a world where all goes well but for what fails once.
  void answer_all() {
    while (!started_.empty()) {
      const auto effect = started_.front();
      started_.erase(started_.begin());
      EffectDone done{.id = effect.id, .detail = "by the test"};
      if (std::holds_alternative<Provision>(effect.body))
        done.instance = Instance{.id = "shop-b", .endpoint = {"127.0.0.1", 9002}};
      if (std::holds_alternative<ProveEqual>(effect.body)) done.proof = "0/1A2B";
      if (std::holds_alternative<Hold>(effect.body)) done.acks = {{"edge", "i1"}};
      if (fails_once_ == name_of(effect.body)) {
        done.error = Error{Code::timeout, "3 requests were still in flight"};
        fails_once_.clear();
      }
      wait(Millis{200});
      take(effect.resource, done);
    }
  }

  static Resource shop() {
    Resource shop;
    shop.id = "shop";
    shop.kind = "http";
    shop.traits = {.shares_data = true, .counterfactual = true};
    shop.primary = {.id = "shop-a", .endpoint = {"127.0.0.1", 9001}};
    shop.segments = {{.id = "orders", .writes = true, .honours_mirror_mark = true}};
    shop.gateways = {"edge"};
    return shop;
  }
  static Outlook outlook(double score) {
    Outlook o;
    o.resource = "shop";
    o.known = true;
    o.scores = {{Millis{300'000}, score, 0, 1}, {Millis{900'000}, score, 0, 1}};
    o.reasons = {{"process_resident_memory_bytes", score, 61.2, 96, Millis{18'000}, "resident memory rises 1.9 MiB/s"}};
    o.time_to_limit = Millis{18'000};
    return o;
  }

  // Calm, then a score of 0.9, a shadow, a handover, and a watch that ends with the old primary's death. `failing`: the
  // name of the effect that fails the first time.
  void whole_handover(const std::string& failing = "") {
    fails_once_ = failing;
    Policy policy;
    policy.autonomy = Autonomy::act;
    take("shop", PolicySet{shop(), policy});
    answer_all();
    take("shop", OutlookMade{outlook(0.1)});
    snapshot();
    take("shop", OutlookMade{outlook(0.9)});
    for (int round = 0; round < 50 && state_.resources.at("shop").phase != Phase::watching; ++round) {
      answer_all();
      wait(Millis{5'000});
      take("", Ticked{});
    }
    ASSERT_EQ(state_.resources.at("shop").phase, Phase::watching);
    answer_all();
    HoldFelt felt{"edge", {.next_epoch = 1, .drained_in_us = 12'000}};
    felt.waits.waits.record(34'000);
    // Twice: a controller that comes back tells again.
    for (int i = 0; i < 2; ++i) take("shop", Evidence{.gateways = {{"edge", "i1"}}, .holds = {felt}});
    take("shop", CounterfactualSeen{false, {}, 1.0, "killed by its memory limit"});
    Outcome outcome;
    outcome.resource = "shop";
    outcome.epoch = 1;
    outcome.predicted_at = now_;
    outcome.score = 0.9;
    outcome.horizon = Millis{300'000};
    outcome.handover_ended_at = now_;
    outcome.failed_at = now_;
    outcome.load_ratio = 1.0;
    outcome.verdict = Verdict::confirmed;
    outcome.why = "failed as foreseen";
    take("shop", OutcomeRecorded{outcome});
    answer_all();
    flush();
  }

 private:
  std::filesystem::path dir_;
  std::unique_ptr<journal::SqliteJournal> journal_;
  decide::State state_;
  std::vector<Effect> started_;
  std::string fails_once_;
  Time now_ = time_from_ms(1'780'000'000'000);
};

}  // namespace foreshadow::app
