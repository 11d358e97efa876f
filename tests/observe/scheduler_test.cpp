#include "observe/scheduler.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <map>
#include <mutex>
#include <stdexcept>
#include <utility>

#include "support/eventually.hpp"

namespace foreshadow::observe {
namespace {

using foreshadow::testing::eventually;

class CountingClock : public Clock {
 public:
  Time now() override { return time_from_ms(++ms_); }

 private:
  std::atomic<std::int64_t> ms_ = 0;
};

// What the sink got, by source value.
class Sink {
 public:
  Scheduler::Sink call() {
    return [this](const ResourceId&, std::vector<Reading> readings, Time) {
      std::scoped_lock lock(mutex_);
      for (const auto& r : readings) ++counts_[r.signal];
    };
  }
  int count(const std::string& signal) {
    std::scoped_lock lock(mutex_);
    return counts_[signal];
  }

 private:
  std::mutex mutex_;
  std::map<std::string, int> counts_;
};

class Steady : public Source {
 public:
  explicit Steady(std::string signal) : signal_(std::move(signal)) {}
  std::string name() const override { return signal_; }
  Result<std::vector<Reading>> scrape(std::stop_token) override { return std::vector<Reading>{{"a", signal_, 1.0}}; }

 private:
  std::string signal_;
};

// Blocks until told to stop (polite) or until it is released (deaf).
struct Gate {
  std::mutex mutex;
  std::condition_variable_any changed;
  bool open = false;
  std::atomic<int> inside = 0;
  void release() {
    std::scoped_lock lock(mutex);
    open = true;
    changed.notify_all();
  }
};
class Hanging : public Source {
 public:
  Hanging(std::shared_ptr<Gate> gate, bool deaf) : gate_(std::move(gate)), deaf_(deaf) {}
  std::string name() const override { return "hanging"; }
  Result<std::vector<Reading>> scrape(std::stop_token stop) override {
    ++gate_->inside;
    std::unique_lock lock(gate_->mutex);
    if (deaf_)
      gate_->changed.wait(lock, [&] { return gate_->open; });
    else
      gate_->changed.wait(lock, stop, [&] { return gate_->open; });
    --gate_->inside;
    return std::vector<Reading>{{"a", "late", 1.0}};
  }

 private:
  std::shared_ptr<Gate> gate_;
  bool deaf_;
};

class Broken : public Source {
 public:
  std::string name() const override { return "broken"; }
  Result<std::vector<Reading>> scrape(std::stop_token) override {
    if (++calls_ % 2 == 0) throw std::runtime_error("threw");
    return fail(Code::unreachable, "not there");
  }

 private:
  int calls_ = 0;
};

TEST(Scheduler, a_hung_source_holds_nobody_up_and_brings_nothing_late) {
  CountingClock clock;
  Sink sink;
  const auto gate = std::make_shared<Gate>();
  Scheduler scheduler(clock, sink.call());
  const auto hung = scheduler.add("shop", std::make_unique<Hanging>(gate, false), {Millis{5}, Millis{20}});
  scheduler.add("shop", std::make_unique<Steady>("fine"), {Millis{2}, Millis{1000}});
  EXPECT_TRUE(eventually([&] { return sink.count("fine") >= 20; }));
  EXPECT_TRUE(eventually([&] {
    for (const auto& s : scheduler.status())
      if (s.id == hung && s.timeouts >= 3 && s.overruns >= 3 && !s.last_success) return true;
    return false;
  }));
  EXPECT_EQ(sink.count("late"), 0);
}

TEST(Scheduler, errors_and_exceptions_are_failures_of_that_source) {
  CountingClock clock;
  Sink sink;
  Scheduler scheduler(clock, sink.call());
  scheduler.add("shop", std::make_unique<Broken>(), {Millis{1}, Millis{1000}});
  EXPECT_TRUE(eventually([&] { return scheduler.status().at(0).failures >= 4; }));
  const auto error = scheduler.status().at(0).last_error;
  EXPECT_TRUE(error == "threw" || error == "not there") << error;
}

TEST(Scheduler, readings_are_stamped_with_engine_time) {
  CountingClock clock;
  std::mutex mutex;
  std::vector<Time> times;
  Scheduler scheduler(clock, [&](const ResourceId& resource, std::vector<Reading>, Time at) {
    EXPECT_EQ(resource, "shop");
    std::scoped_lock lock(mutex);
    times.push_back(at);
  });
  scheduler.add("shop", std::make_unique<Steady>("x"), {Millis{1}, Millis{1000}});
  EXPECT_TRUE(eventually([&] {
    std::scoped_lock lock(mutex);
    return times.size() >= 5;
  }));
  std::scoped_lock lock(mutex);
  EXPECT_TRUE(std::ranges::is_sorted(times));
}

TEST(Scheduler, after_removal_the_sink_is_silent) {
  CountingClock clock;
  Sink sink;
  Scheduler scheduler(clock, sink.call());
  const auto id = scheduler.add("shop", std::make_unique<Steady>("x"), {Millis{1}, Millis{1000}});
  EXPECT_TRUE(eventually([&] { return sink.count("x") >= 3; }));
  scheduler.remove(id);
  const int then = sink.count("x");
  scheduler.add("shop", std::make_unique<Steady>("y"), {Millis{1}, Millis{1000}});
  EXPECT_TRUE(eventually([&] { return sink.count("y") >= 10; }));
  EXPECT_EQ(sink.count("x"), then);
  EXPECT_EQ(scheduler.status().size(), 1U);
  scheduler.remove(id);  // again: nothing
}

TEST(Scheduler, a_source_deaf_to_stop_is_left_behind) {
  Sink sink;
  const auto gate = std::make_shared<Gate>();
  {
    CountingClock clock;
    Scheduler scheduler(clock, sink.call());
    scheduler.add("shop", std::make_unique<Hanging>(gate, true), {Millis{5}, Millis{20}});
    EXPECT_TRUE(eventually([&] { return gate->inside == 1; }));
  }
  // The scheduler and its clock are gone; what still hangs must touch neither when it wakes.
  gate->release();
  EXPECT_TRUE(eventually([&] { return gate->inside == 0 && gate.use_count() == 1; }));
  EXPECT_EQ(sink.count("late"), 0);
}

}  // namespace
}  // namespace foreshadow::observe
