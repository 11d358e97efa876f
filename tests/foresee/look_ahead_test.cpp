// What the score must do on courses whose truth is known: back-tests on seeded series, one look a sample.
#include "foresee/look_ahead.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <ctime>

#include "synthetic.hpp"

namespace foreshadow::foresee {
namespace {

using synthetic::replay;
using synthetic::seconds_of;
using synthetic::series;
using synthetic::signal;
using synthetic::window;

constexpr Limit hard{100, Direction::rising, true};
constexpr Limit objective{100, Direction::rising, false};
constexpr int seeds = 3;

struct Tally {
  int looks = 0, above_05 = 0, above_50 = 0, critical = 0;
  double highest_12s = 0;
  void add(const std::vector<Outlook>& outlooks, double from_s = 0) {
    for (const auto& o : outlooks) {
      if (!o.known || seconds_of(o) < from_s) continue;
      ++looks;
      above_05 += o.scores.back().score > 0.05;
      above_50 += o.scores.back().score >= 0.5;
      critical += o.scores.front().score >= 0.8;
      highest_12s = std::max(highest_12s, o.scores.front().score);
    }
  }
  double share(int n) const { return static_cast<double>(n) / looks; }
};

TEST(LookAhead, a_leak_that_ends_in_20_s_is_told_after_4) {
  for (int seed = 1; seed <= seeds; ++seed) {
    const auto outlooks = replay(series(20, [](double t) { return 5 * t; }, 0.3, seed), hard);
    double told = 99;
    for (const auto& o : outlooks)
      if (o.scores.back().score > 0.9) {
        told = seconds_of(o);
        break;
      }
    EXPECT_LE(told, 4.25) << "seed " << seed;
    for (const auto& o : outlooks)
      if (seconds_of(o) > 6) EXPECT_GT(o.scores.back().score, 0.9) << "seed " << seed << " at " << seconds_of(o);
    // The time to the limit is right to a second once the leak is plain.
    ASSERT_TRUE(outlooks[40].time_to_limit);
    EXPECT_NEAR(to_seconds(*outlooks[40].time_to_limit), 10, 1) << "seed " << seed;
  }
}

TEST(LookAhead, a_leak_after_a_long_calm_is_told_within_6_s) {
  for (int seed = 1; seed <= seeds; ++seed) {
    const auto outlooks =
        replay(series(60, [](double t) { return t < 40 ? 50 : 50 + 2.5 * (t - 40); }, 0.3, seed), hard);
    double told = 99;
    for (const auto& o : outlooks) {
      if (seconds_of(o) < 40) EXPECT_LT(o.scores.back().score, 0.05) << "seed " << seed;
      if (told > 90 && o.scores.back().score > 0.9) told = seconds_of(o);
    }
    EXPECT_LT(told, 46) << "seed " << seed;
  }
}

TEST(LookAhead, a_falling_volume_is_the_same_leak_turned_over) {
  const auto outlooks = replay(series(
                                   20, [](double t) { return 200 - 5 * t; }, 0.3),
                               {100, Direction::falling, true}, {}, "volume_available_bytes");
  EXPECT_GT(outlooks[40].scores.back().score, 0.9);
  EXPECT_NE(outlooks[40].reasons.at(0).text.find("falls"), std::string::npos);
}

TEST(LookAhead, a_staircase_is_a_leak) {
  const auto outlooks = replay(series(40, [](double t) { return 8 * std::floor(t / 3); }, 0.1), hard);
  EXPECT_GT(outlooks[100].scores.back().score, 0.9);  // at 25 s, after eight steps, 12 s before the end
}

TEST(LookAhead, flat_noise_stays_calm) {
  for (const auto limit : {hard, objective}) {
    Tally quiet, rough;
    for (int seed = 1; seed <= seeds; ++seed) {
      quiet.add(replay(series(60, [](double) { return 50; }, 1, seed), limit));
      rough.add(replay(series(60, [](double) { return 50; }, 3, seed), limit));
    }
    EXPECT_LE(quiet.share(quiet.above_05), 0.002);
    EXPECT_EQ(quiet.above_50, 0);
    EXPECT_LE(rough.share(rough.above_05), 0.03);
    EXPECT_EQ(rough.critical, 0);
  }
}

TEST(LookAhead, a_first_touch_far_from_the_limit_of_wandering_noise_stays_calm) {
  Tally tally;
  for (int seed = 1; seed <= seeds; ++seed) {
    Random random(static_cast<std::uint64_t>(seed) + 100);
    double x = 0;
    tally.add(replay(series(60, [&](double) { return 50 + (x = 0.9 * x + 0.44 * random.normal()); }), hard));
  }
  EXPECT_LE(tally.share(tally.above_05), 0.01);
  EXPECT_EQ(tally.critical, 0);
}

TEST(LookAhead, a_warm_up_that_levels_off_below_the_limit_does_not_alarm) {
  for (const double end : {70.0, 85.0})
    for (const double tau : {2.0, 3.0, 5.0, 10.0, 20.0}) {
      Tally tally;
      for (int seed = 1; seed <= seeds; ++seed)
        tally.add(replay(series(4 * tau, [&](double t) { return end * (1 - std::exp(-t / tau)); }, 0.3, seed), hard));
      // Where nothing has bent yet, nothing can tell.
      EXPECT_LE(tally.share(tally.critical), 0.005) << "to " << end << " with " << tau << " s";
    }
}

TEST(LookAhead, a_warm_up_that_would_cross_does_alarm) {
  const auto outlooks = replay(series(20, [](double t) { return 160 * (1 - std::exp(-t / 15)); }, 0.3), hard);
  EXPECT_GT(outlooks[32].scores.front().score, 0.8);  // at 8 s; it crosses at 14.7 s
}

TEST(LookAhead, a_step_is_not_continued) {
  for (const double step : {8.0, 30.0}) {
    Tally tally;
    for (int seed = 1; seed <= seeds; ++seed)
      tally.add(replay(series(60, [&](double t) { return t < 20 ? 50 : 50 + step; }, 0.3, seed), hard));
    EXPECT_LE(tally.share(tally.critical), 0.001) << step;
    EXPECT_LE(tally.share(tally.above_50), 0.005) << step;
  }
}

TEST(LookAhead, a_sawtooth_is_not_a_leak) {
  for (const double period : {4.0, 10.0, 15.0}) {
    Tally tally;
    for (int seed = 1; seed <= seeds; ++seed)
      // The first two teeth cannot be told from a leak; from the third on they can.
      tally.add(replay(series(
                           100, [&](double t) { return 40 + 40 * std::fmod(t, period) / period; }, 0.3, seed),
                       hard),
                2.6 * period);
    EXPECT_EQ(tally.above_50, 0) << period;
    EXPECT_LE(tally.share(tally.above_05), 0.08) << period;
  }
}

TEST(LookAhead, a_sawtooth_that_climbs_is_a_leak) {
  const auto outlooks =
      replay(series(99, [](double t) { return 30 + 0.5 * t + 20 * std::fmod(t, 8.0) / 8; }, 0.3), hard);
  EXPECT_LT(outlooks[160].scores.back().score, 0.3);  // at 40 s the peaks are at 70
  EXPECT_GT(outlooks[380].scores.back().score, 0.8);  // at 95 s they are at 97
}

TEST(LookAhead, a_leak_that_stops_cools_down_within_4_s) {
  for (int seed = 1; seed <= seeds; ++seed) {
    const auto outlooks = replay(series(30, [](double t) { return t < 12 ? 50 + 3 * t : 86; }, 0.3, seed), hard);
    EXPECT_GT(outlooks[46].scores.front().score, 0.8) << "seed " << seed;
    for (const auto& o : outlooks)
      if (seconds_of(o) > 16) EXPECT_LT(o.scores.front().score, 0.3) << "seed " << seed << " at " << seconds_of(o);
  }
}

TEST(LookAhead, scores_of_random_walks_come_true_about_as_often_as_they_say) {
  // 25 s of a walk are seen, then it goes on for 30 s: did it touch the limit?
  double said = 0, came = 0;
  constexpr int walks = 300;
  for (int seed = 1; seed <= walks; ++seed) {
    Random random(static_cast<std::uint64_t>(seed));
    double x = 80;
    const auto samples = series(25, [&](double) { return x += random.normal(); });
    if (std::ranges::any_of(samples, [](const Sample& s) { return s.value >= 100; })) continue;
    Settings settings;
    settings.confirmations = 1;
    Memory memory;
    said += look_ahead(window({signal("m", samples, hard)}), settings, memory).scores.back().score;
    bool touched = false;
    for (int i = 0; i < 120; ++i) touched = touched || (x += random.normal()) >= 100;
    came += touched;
  }
  EXPECT_NEAR(said / walks, came / walks, 0.12) << said / walks << " said, " << came / walks << " came";
}

TEST(LookAhead, scores_rise_with_the_horizon_and_stay_in_their_band) {
  Settings settings;
  settings.horizons = {Millis{3000}, Millis{12000}, Millis{30000}, Millis{120000}};
  for (int seed = 1; seed <= 4; ++seed)
    for (const auto& o : replay(series(30, [](double t) { return 40 + t; }, 4, seed), hard, settings)) {
      for (std::size_t i = 0; i < o.scores.size(); ++i) {
        if (i > 0) EXPECT_GE(o.scores[i].score, o.scores[i - 1].score);
        EXPECT_LE(o.scores[i].low, o.scores[i].score);
        EXPECT_GE(o.scores[i].high, o.scores[i].score);
        EXPECT_TRUE(o.scores[i].score >= 0 && o.scores[i].score <= 1);
      }
    }
}

TEST(LookAhead, one_look_alone_cannot_raise_the_score) {
  const auto samples = series(20, [](double t) { return 5 * t; }, 0.1);
  Settings settings;
  Memory memory;
  const auto w = window({signal("m", {samples.begin(), samples.begin() + 40}, hard)});
  EXPECT_LE(look_ahead(w, settings, memory).scores.back().score, settings.score_low);
  // The same samples again are no news.
  EXPECT_LE(look_ahead(w, settings, memory).scores.back().score, settings.score_low);
  EXPECT_GT(look_ahead(window({signal("m", {samples.begin(), samples.begin() + 41}, hard)}), settings, memory)
                .scores.back()
                .score,
            0.9);
}

TEST(LookAhead, the_same_windows_give_the_same_outlooks) {
  const auto samples = series(30, [](double t) { return 40 + t; }, 2);
  EXPECT_EQ(replay(samples, hard), replay(samples, hard));
}

TEST(LookAhead, unknown_without_a_hard_limits_fresh_signal) {
  Memory memory;
  const auto samples = series(20, [](double) { return 50; }, 1);
  const auto known = [&](std::vector<Signal> signals) {
    return look_ahead(window(std::move(signals)), {}, memory).known;
  };
  EXPECT_FALSE(known({}));
  EXPECT_TRUE(known({signal("m", samples, hard)}));
  auto stale = signal("disk", samples, hard);
  stale.stale = true;
  EXPECT_FALSE(known({signal("m", samples, hard), stale}));
  EXPECT_FALSE(known({signal("m", {samples.begin(), samples.begin() + 5}, hard)}));
  // An idle segment has no latency: that alone hides nothing.
  EXPECT_TRUE(known({signal("m", samples, hard), signal("request_p99_seconds", {}, objective)}));
  EXPECT_TRUE(known({signal("p50", samples, objective), signal("p99", {}, objective)}));
  EXPECT_FALSE(known({signal("p50", {}, objective), signal("p99", {}, objective)}));
  // The shadow's signals do not stand in for the primary's.
  EXPECT_FALSE(known({signal("m", samples, hard, "b")}));
}

TEST(LookAhead, an_unknown_outlook_says_what_is_missing) {
  Memory memory;
  const auto o = look_ahead(window({signal("volume_available_bytes", {}, hard)}), {}, memory);
  ASSERT_FALSE(o.reasons.empty());
  EXPECT_EQ(o.reasons[0].text, "volume available is unknown: too few samples yet");
}

TEST(LookAhead, crossed_is_degraded_and_certain) {
  const auto outlooks = replay(series(10, [](double t) { return t < 5 ? 50 : 120; }, 0.5), hard);
  EXPECT_FALSE(outlooks[18].degraded);
  EXPECT_TRUE(outlooks.back().degraded);
  EXPECT_EQ(outlooks.back().scores.front().score, 1);
  EXPECT_EQ(outlooks.back().time_to_limit, Millis{0});
  EXPECT_NE(outlooks.back().reasons.at(0).text.find("above its limit"), std::string::npos);
}

TEST(LookAhead, a_single_spike_over_the_limit_is_not_degraded) {
  int i = 0;
  for (const auto& o : replay(series(20, [&](double) { return ++i == 40 ? 150 : 50; }, 0.5), hard)) {
    EXPECT_FALSE(o.degraded);
    EXPECT_LT(o.scores.back().score, 0.3);
  }
}

TEST(LookAhead, a_dead_process_is_degraded) {
  Memory memory;
  auto up = signal("process_up", series(20, [](double t) { return t < 19 ? 1 : 0; }), hard);
  up.limit.reset();
  auto o = look_ahead(window({up, signal("m", series(20, [](double) { return 50; }, 1), hard)}), {}, memory);
  EXPECT_TRUE(o.degraded);
  EXPECT_EQ(o.reasons.at(0).signal, "process_up");
}

TEST(LookAhead, many_signals_widen_the_band_not_the_score) {
  std::vector<Signal> signals;
  for (int i = 0; i < 5; ++i)
    signals.push_back(signal("m" + std::to_string(i), series(30, [](double t) { return 40 + t; }, 3, 9), hard));
  Settings settings;
  settings.confirmations = 1;
  Memory one_memory, five_memory;
  const auto one = look_ahead(window({signals[0]}), settings, one_memory);
  const auto five = look_ahead(window(signals), settings, five_memory);
  EXPECT_DOUBLE_EQ(one.scores.back().score, five.scores.back().score);
  EXPECT_GE(five.scores.back().high, one.scores.back().high);
}

TEST(LookAhead, reasons_read_as_claims) {
  const auto samples = series(30, [](double t) { return (40 + 1.9 * t) * 1048576; }, 0.05 * 1048576);
  const auto outlooks = replay(samples, {96 * 1048576.0, Direction::rising, true});
  const auto& text = outlooks[80].reasons.at(0).text;
  EXPECT_NE(text.find("resident memory 7"), std::string::npos) << text;
  EXPECT_NE(text.find("MiB rises 1.9 MiB/s; reaches 96"), std::string::npos) << text;
}

TEST(LookAhead, drift_is_seen_and_not_learnt) {
  Memory memory;
  const auto samples = series(120, [](double t) { return t < 60 ? 100 : 160; }, 3);
  double before = 0, after = 0;
  for (std::size_t n = 1; n <= samples.size(); ++n) {
    auto rate = signal("request_rate",
                       {samples.begin() + static_cast<std::ptrdiff_t>(n > 480 ? n - 480 : 0),
                        samples.begin() + static_cast<std::ptrdiff_t>(n)},
                       hard);
    rate.limit.reset();
    const auto o = look_ahead(window({rate}), {}, memory);
    if (seconds_of(o) < 60) before = std::max(before, o.drift);
    if (seconds_of(o) > 75) after = after == 0 ? o.drift : std::min(after, o.drift);
  }
  EXPECT_LT(before, 0.3);
  EXPECT_GT(after, 0.9);
}

TEST(LookAhead, another_current_side_forgets) {
  Memory memory;
  auto w = window({signal("m", series(30, [](double) { return 50; }, 1), hard)});
  look_ahead(w, {}, memory);
  EXPECT_FALSE(memory.recent.empty());
  w.current = "b";
  look_ahead(w, {}, memory);
  EXPECT_EQ(memory.current, "b");
  EXPECT_TRUE(memory.signals.empty());
}

TEST(LookAhead, memory_stays_bounded) {
  Memory memory;
  const auto samples = series(900, [](double) { return 50; }, 1);
  for (std::size_t n = 40; n <= samples.size(); n += 20) {
    auto s = signal("request_rate",
                    {samples.begin() + static_cast<std::ptrdiff_t>(n > 480 ? n - 480 : 0),
                     samples.begin() + static_cast<std::ptrdiff_t>(n)},
                    hard);
    look_ahead(window({s}), {}, memory);
  }
  EXPECT_LE(memory.signals.at("request_rate").values.size(), 240U);
  EXPECT_GE(memory.signals.at("request_rate").values.size(), 100U);
  EXPECT_LE(memory.recent.size(), 2U);
}

TEST(LookAhead, survives_strange_windows) {
  Memory memory;
  const auto odd = [&](std::vector<Sample> samples) {
    for (const auto limit : {hard, objective, Limit{0, Direction::falling, true}}) {
      const auto o = look_ahead(window({signal("m", samples, limit)}), {}, memory);
      for (const auto& s : o.scores) EXPECT_TRUE(s.score >= 0 && s.score <= 1);
    }
  };
  odd(series(20, [](double) { return 0; }));
  odd(series(20, [](double) { return 1e300; }));
  odd(series(20, [](double t) { return t * 1e-300; }));
  odd(series(20, [](double t) { return std::fmod(t, 1) == 0 ? 1e18 : -1e18; }));
  std::vector<Sample> gap = series(5, [](double t) { return t; });
  for (auto s : series(5, [](double t) { return 40 + t; })) gap.push_back({s.at + std::chrono::hours{5}, s.value});
  odd(gap);
}

// Cost on two shared cores, in processor time: 200 signals of 240 samples.
TEST(LookAhead, costs_little) {
  std::vector<Signal> signals;
  for (int i = 0; i < 200; ++i)
    signals.push_back(signal(
        "s" + std::to_string(i) + "_bytes",
        series(
            59.75, [&](double t) { return 50 + (i % 4 == 0 ? 0.3 * t : 0) + (i % 5 == 1 ? std::fmod(t, 9.0) : 0); }, 1,
            static_cast<std::uint64_t>(i) + 1),
        hard));
  const auto w = window(std::move(signals));
  Memory memory;
  look_ahead(w, {}, memory);
  const auto begin = std::clock();
  look_ahead(w, {}, memory);
  const double ms = 1000.0 * static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
  RecordProperty("ms", std::to_string(ms));
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
  EXPECT_LT(ms, 1500) << "under a sanitizer";
  return;
#endif
#endif
  EXPECT_LT(ms, 50);
}

}  // namespace
}  // namespace foreshadow::foresee
