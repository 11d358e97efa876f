#include "foresee/risk/handover_helps.hpp"

#include <gtest/gtest.h>

#include "synthetic.hpp"

namespace foreshadow::foresee {
namespace {

using synthetic::series;
using synthetic::signal;

constexpr Limit memory_limit{100, Direction::rising, true};
constexpr Limit p99_limit{0.5, Direction::rising, false};

Signal rate(double per_second, std::string instance) {
  auto s = signal("request_rate", series(20, [&](double) { return per_second; }), {}, std::move(instance));
  s.limit.reset();
  return s;
}
Signal rss(double from, double per_second, std::string instance, double noise = 0.3) {
  return signal("process_resident_memory_bytes",
                series(20, [&](double t) { return from + per_second * t; }, noise), memory_limit, std::move(instance));
}

Helps judge(std::vector<Signal> signals, bool shadow = true) {
  auto w = synthetic::window(std::move(signals));
  if (shadow) w.shadow = "b";
  Settings settings;
  settings.confirmations = 1;
  Memory memory;
  return look_ahead(w, settings, memory).handover_helps;
}

TEST(HandoverHelps, a_healthy_shadow_under_the_same_load_does) {
  EXPECT_EQ(judge({rss(20, 3, "a"), rss(30, 0, "b"), rate(100, "a"), rate(90, "b")}), Helps::yes);
}

TEST(HandoverHelps, unknown_without_a_shadow_or_its_signal_or_its_load) {
  EXPECT_EQ(judge({rss(20, 3, "a"), rate(100, "a")}, false), Helps::unknown);
  EXPECT_EQ(judge({rss(20, 3, "a"), rate(100, "a"), rate(90, "b")}), Helps::unknown);
  EXPECT_EQ(judge({rss(20, 3, "a"), rss(30, 0, "b"), rate(100, "a"), rate(5, "b")}), Helps::unknown);
  EXPECT_EQ(judge({rss(20, 3, "a"), rss(30, 0, "b"), rate(100, "a")}), Helps::unknown);
}

TEST(HandoverHelps, unknown_while_nothing_is_at_risk) {
  EXPECT_EQ(judge({rss(30, 0, "a"), rss(30, 0, "b"), rate(100, "a"), rate(90, "b")}), Helps::unknown);
}

TEST(HandoverHelps, not_when_the_shadow_leaks_as_fast) {
  EXPECT_EQ(judge({rss(20, 3, "a"), rss(10, 3, "b"), rate(100, "a"), rate(100, "b")}), Helps::no);
}

TEST(HandoverHelps, not_when_the_shadow_leaks_as_fast_per_request) {
  // A third of the load, a third of the growth: at full load it would last 30 s more, not three horizons.
  EXPECT_EQ(judge({rss(20, 3, "a"), rss(2, 1, "b", 0.1), rate(90, "a"), rate(30, "b")}), Helps::no);
}

TEST(HandoverHelps, not_when_latency_suffers_on_both_sides) {
  const auto p99 = [](std::string instance) {
    return signal("request_p99_seconds",
                  series(20, [](double t) { return 0.1 + 0.018 * t; }, 0.003), p99_limit, std::move(instance));
  };
  EXPECT_EQ(judge({p99("a"), p99("b"), rate(100, "a"), rate(100, "b")}), Helps::no);
}

TEST(HandoverHelps, a_larger_volume_does_though_it_fills_as_fast) {
  const auto volume = [](double from, std::string instance) {
    return signal(
        "volume_available_bytes",
        series(20, [&](double t) { return from - 3 * t; }, 0.3), {12, Direction::falling, true}, std::move(instance));
  };
  // Replicated writes reach the shadow whole, however little is mirrored.
  EXPECT_EQ(judge({volume(100, "a"), volume(2000, "b"), rate(100, "a"), rate(1, "b")}), Helps::yes);
  EXPECT_EQ(judge({volume(100, "a"), volume(110, "b"), rate(100, "a"), rate(100, "b")}), Helps::no);
}

}  // namespace
}  // namespace foreshadow::foresee
