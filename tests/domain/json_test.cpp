#include "domain/json.hpp"

#include <gtest/gtest.h>

#include "domain/names.hpp"

namespace foreshadow {
namespace {

template <class Variant, std::size_t... I>
void each_round_trips(std::index_sequence<I...>) {
  const auto one = [](auto body) {
    if constexpr (std::is_same_v<Variant, EventBody>) {
      const Event event{time_from_ms(42), "db", std::move(body)};
      const auto back = decode<Event>(encode(event));
      ASSERT_TRUE(back) << name_of(event.body) << ": " << back.error().what;
      EXPECT_EQ(*back, event);
    } else {
      const Effect effect{7, "db", 3, std::move(body), "because"};
      const auto back = decode<Effect>(encode(effect));
      ASSERT_TRUE(back) << name_of(effect.body) << ": " << back.error().what;
      EXPECT_EQ(*back, effect);
    }
  };
  (one(std::variant_alternative_t<I, Variant>{}), ...);
}

TEST(Json, every_event_and_effect_survives_the_journal) {
  each_round_trips<EventBody>(std::make_index_sequence<std::variant_size_v<EventBody>>{});
  each_round_trips<EffectBody>(std::make_index_sequence<std::variant_size_v<EffectBody>>{});
}

TEST(Json, a_filled_report_and_table_survive_the_wire) {
  GatewayReport report;
  report.gateway = "edge";
  report.hold = HoldState::sealed;
  report.unmovable = {{"temporary table", 2}};
  report.segments.resize(1);
  report.segments[0].segment = "orders";
  report.segments[0].current.latency.record(1234);
  report.segments[0].mirror.latency.record(999'999'999);
  report.segments[0].refusals = {
      .parked_too_long = 1, .parked_full = 2, .queued_too_long = 3, .queue_full = 4, .circuit_open = 5};
  report.segments[0].flowed = 6;
  report.instances = {{.instance = "a",
                       .busy = 1,
                       .queued = 2,
                       .waited = 3,
                       .circuit = CircuitState::half_open,
                       .opened = 4,
                       .why = "5 failures in a row"}};
  report.instances[0].wait.record(5);
  EXPECT_EQ(decode<GatewayReport>(encode(report)).value(), report);
  report.mirror_pace = MirrorPace{.rate = 0.5, .evidence = 3.25, .blocks = 7, .slowed_down = 1, .control = 9};
  EXPECT_EQ(decode<GatewayReport>(encode(report)).value(), report);

  RouteTable table;
  table.other = Instance{"b", {"::1", 9}, "/srv", "/run/b.pid", {"host:b"}, {{"cgroup", "/x"}}};
  table.routes = {{"orders", 0.25, 1}};
  EXPECT_EQ(decode<RouteTable>(encode(table)).value(), table);
}

TEST(Json, decoding_is_strict_and_says_where) {
  const auto text = encode(Event{time_from_ms(1), "db", Ticked{}});
  EXPECT_FALSE(decode<Event>("{}"));
  EXPECT_FALSE(decode<Event>("not json"));
  const auto unknown = decode<Event>(R"({"at":1,"resource":"db","body":{"type":"exploded"}})");
  ASSERT_FALSE(unknown);
  EXPECT_NE(unknown.error().what.find("exploded"), std::string::npos);
  EXPECT_FALSE(decode<Autonomy>(nlohmann::json("reckless")));
  EXPECT_FALSE(decode<Histogram>(nlohmann::json::parse("[[999999,1]]")));
}

TEST(Json, bytes_that_are_not_utf8_are_replaced_not_thrown_on) {
  const auto text = encode(Error{Code::io, "\xff\xfe"});
  EXPECT_TRUE(decode<Error>(text));
}

}  // namespace
}  // namespace foreshadow
