#include "engine/engine.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "journal/memory_journal.hpp"
#include "journal/reader.hpp"
#include "journal/sqlite_journal.hpp"
#include "support/disk.hpp"
#include "support/temp_dir.hpp"

namespace foreshadow::engine {
namespace {

class TestClock final : public Clock {
 public:
  Time now() override { return now_ += Millis{1}; }
  Time now_ = time_from_ms(1'000'000);
};

class RecordingHands final : public Hands {
 public:
  void start(const Effect& effect) override { started.push_back(effect); }
  void cancel(EffectId id) override { cancelled.push_back(id); }
  std::vector<Effect> started;
  std::vector<EffectId> cancelled;
};

// A journal whose disk can be made to fail.
class FailingJournal final : public journal::Journal {
 public:
  explicit FailingJournal(journal::Journal& inner) : inner_(inner) {}
  Result<journal::Recovery> open() override {
    if (damaged) return fail(Code::corrupt, "record 17 does not match its checksum");
    return inner_.open();
  }
  Result<std::uint64_t> append(const Event& event, bool durable) override {
    if (failing) return fail(Code::io, "fsync: input/output error");
    return inner_.append(event, durable);
  }
  Result<std::uint64_t> intend(const Effect& effect, Time at, bool durable) override {
    if (failing || failing_intents) return fail(Code::io, "fsync: input/output error");
    return inner_.intend(effect, at, durable);
  }
  Result<void> snapshot(Time at, const std::string& image) override { return inner_.snapshot(at, image); }
  Result<void> flush() override { return inner_.flush(); }
  bool healthy() const override { return !failing; }
  bool failing = false, failing_intents = false, damaged = false;

 private:
  journal::Journal& inner_;
};

PolicySet configured() {
  PolicySet set;
  set.resource.id = "db";
  set.resource.primary.id = "old";
  set.resource.primary.endpoint = {"127.0.0.1", 1};
  set.resource.segments = {{"all", true, false, Millis{0}, 0.5}};
  set.policy.autonomy = Autonomy::act;
  set.policy.shadowing = {0.5, Millis{30'000}};
  set.policy.critical = {0.8, Millis{10'000}};
  return set;
}

Event bad_outlook() {
  Outlook o;
  o.known = true;
  o.resource = "db";
  o.scores = {{Millis{10'000}, 0.1, 0, 1}, {Millis{30'000}, 0.9, 0, 1}};
  return Event{{}, "db", OutlookMade{o}};
}

struct World {
  TestClock clock;
  journal::MemoryDisk disk;
  journal::MemoryJournal memory{disk};
  FailingJournal journal{memory};
  RecordingHands hands;
  Engine engine{clock, journal, hands, {"test", 1000}};
};

// The journal on a disk, whose syncs are counted.
struct DiskWorld {
  foreshadow::testing::TempDir dir;
  TestClock clock;
  journal::SqliteJournal journal{{.path = dir / "journal.db"}};
  RecordingHands hands;
  Engine engine{clock, journal, hands, {"test", 1000}};

  EffectDone answer() {
    EffectDone done;
    done.id = hands.started.back().id;
    if (std::holds_alternative<Provision>(hands.started.back().body)) {
      Instance shadow;
      shadow.id = "new";
      shadow.endpoint = {"127.0.0.1", 2};
      done.instance = shadow;
    }
    return done;
  }
  std::vector<journal::Record> records() {
    std::vector<journal::Record> all;
    auto reader = journal::Reader::open(dir / "journal.db");
    EXPECT_TRUE(reader && reader->for_each({}, [&](const journal::Record& record) {
      all.push_back(record);
      return true;
    }));
    return all;
  }
};

TEST(Engine, an_answer_and_the_step_that_follows_cost_one_sync) {
  DiskWorld w;
  ASSERT_TRUE(w.engine.start({configured()}));
  w.engine.handle(bad_outlook());
  ASSERT_EQ(w.hands.started.size(), 1U);
  const int before = foreshadow::testing::syncs().count;
  w.engine.handle(Event{{}, "db", w.answer()});
  ASSERT_EQ(w.hands.started.size(), 2U);
  EXPECT_EQ(foreshadow::testing::syncs().count, before + 1);
  const auto records = w.records();
  ASSERT_GE(records.size(), 2U);
  EXPECT_EQ(records.end()[-2].name, "effect_done");
  EXPECT_EQ(records.end()[-1].name, "replicate");
}

TEST(Engine, an_event_that_starts_nothing_is_on_disk_all_the_same) {
  DiskWorld w;
  ASSERT_TRUE(w.engine.start({configured()}));
  const int before = foreshadow::testing::syncs().count;
  w.engine.handle(Event{{}, "db", Command{Verb::pause, "ann", ""}});
  EXPECT_TRUE(w.hands.started.empty());
  EXPECT_EQ(foreshadow::testing::syncs().count, before + 1);
  EXPECT_EQ(w.records().back().name, "command");
}

TEST(Engine, nothing_starts_when_the_sync_fails) {
  DiskWorld w;
  ASSERT_TRUE(w.engine.start({configured()}));
  {
    foreshadow::testing::FailingDisk failing;
    w.engine.handle(bad_outlook());
  }
  EXPECT_TRUE(w.hands.started.empty());
  EXPECT_FALSE(w.engine.observe_only_why().empty());
  w.engine.handle(bad_outlook());
  EXPECT_TRUE(w.hands.started.empty()) << "a disk that failed once is not trusted again";
}

TEST(Engine, an_intent_is_written_before_its_effect_starts) {
  World w;
  ASSERT_TRUE(w.engine.start({configured()}));
  w.journal.failing_intents = true;
  w.engine.handle(bad_outlook());
  EXPECT_TRUE(w.hands.started.empty());
  EXPECT_FALSE(w.engine.observe_only_why().empty());
}

TEST(Engine, a_failed_disk_stops_action_for_good_but_not_sight) {
  World w;
  ASSERT_TRUE(w.engine.start({configured()}));
  w.journal.failing = true;
  w.engine.handle(bad_outlook());
  w.journal.failing = false;
  w.engine.handle(bad_outlook());
  EXPECT_TRUE(w.hands.started.empty()) << "a disk that failed once is not trusted again";
  EXPECT_TRUE(w.engine.state().resources.at("db").outlook.has_value());
}

TEST(Engine, a_damaged_journal_means_observe_only) {
  World w;
  w.journal.damaged = true;
  ASSERT_TRUE(w.engine.start({configured()}));
  w.engine.handle(bad_outlook());
  EXPECT_TRUE(w.hands.started.empty());
  EXPECT_NE(w.engine.observe_only_why().find("record 17"), std::string::npos);
}

TEST(Engine, recovery_goes_on_where_it_was_under_a_new_term) {
  World w;
  ASSERT_TRUE(w.engine.start({configured()}));
  w.engine.handle(bad_outlook());
  ASSERT_EQ(w.hands.started.size(), 1U);
  const auto before = w.engine.state();
  w.disk.crash();
  journal::MemoryJournal reborn{w.disk};
  RecordingHands hands;
  Engine again{w.clock, reborn, hands, {"test", 1000}};
  ASSERT_TRUE(again.start({configured()}));
  EXPECT_EQ(again.state().term, before.term + 1);
  ASSERT_EQ(hands.started.size(), 1U);
  EXPECT_EQ(hands.started[0].id, w.hands.started[0].id);
  EXPECT_EQ(again.state().resources.at("db").phase, Phase::provisioning);
}

TEST(Engine, no_image_is_taken_while_clients_are_parked) {
  World w;
  Engine engine{w.clock, w.journal, w.hands, {"test", 10}};
  auto set = configured();
  set.resource.traits = {true, false, true};
  ASSERT_TRUE(engine.start({set}));
  const auto images = [&] {
    const auto& records = w.disk.records();
    return std::count_if(records.begin(), records.end(), [](const auto& record) {
      return std::holds_alternative<journal::MemoryRecord::Snapshot>(record.what);
    });
  };
  const auto done = [&](std::optional<Instance> instance = {}) {
    EffectDone d;
    d.id = w.hands.started.back().id;
    d.instance = std::move(instance);
    d.acks = {{"edge", "edge#1"}};
    engine.handle(Event{{}, "db", d});
  };
  engine.handle(bad_outlook());
  Instance shadow;
  shadow.id = "new";
  shadow.endpoint = {"127.0.0.1", 2};
  done(shadow);
  done();
  done();
  engine.handle(Event{{}, "db", Command{Verb::handover, "ann", ""}});
  ASSERT_EQ(engine.state().resources.at("db").phase, Phase::handing_over);
  const auto before = images();
  const auto progress = [&] { engine.handle(Event{{}, "db", EffectProgress{.id = w.hands.started.back().id}}); };
  for (int i = 0; i < 12; ++i) progress();
  EXPECT_EQ(images(), before);
  for (int i = 0; i < 12; ++i) progress();
  EXPECT_EQ(images(), before + 1) << "a recovery's work is bounded all the same";
}

TEST(Engine, an_ended_watch_is_labelled_and_tunes) {
  World w;
  auto set = configured();
  set.resource.traits = {true, false, true};
  ASSERT_TRUE(w.engine.start({set}));
  const auto done = [&](std::optional<Instance> instance = {}) {
    EffectDone d;
    d.id = w.hands.started.back().id;
    d.instance = std::move(instance);
    d.acks = {{"edge", "edge#1"}};
    w.engine.handle(Event{{}, "db", d});
  };
  w.engine.handle(bad_outlook());
  Instance shadow;
  shadow.id = "new";
  shadow.endpoint = {"127.0.0.1", 2};
  done(shadow);  // provision
  done();        // replicate
  done();        // steer
  w.engine.handle(Event{{}, "db", Command{Verb::handover, "ann", ""}});
  done();  // hold
  done();  // prove
  done();  // seal
  done();  // switch
  w.engine.handle(Event{{}, "db", CounterfactualSeen{false, {}, 1, ""}});
  const auto& l = w.engine.state().resources.at("db");
  ASSERT_EQ(l.outcomes.size(), 1U);
  EXPECT_EQ(l.outcomes[0].verdict, Verdict::censored) << "an operator's handover predicted nothing";
  EXPECT_FALSE(l.unlabelled);
  EXPECT_NE(l.tuning.why.find("needed"), std::string::npos);
}

}  // namespace
}  // namespace foreshadow::engine
