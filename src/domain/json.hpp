// How domain values look on disk and on the wire. Field names are the members' names; durations and times are
// milliseconds; enums are their names; a variant is {"type": name, ...its fields}.
// Decoding is strict: a missing field, an unknown name or a wrong type is an error that says where.
#pragma once

#include <concepts>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "base/time.hpp"
#include "domain/effect.hpp"
#include "domain/event.hpp"
#include "domain/gateway_report.hpp"
#include "domain/phase.hpp"
#include "domain/route_table.hpp"
#include "domain/window.hpp"

NLOHMANN_JSON_NAMESPACE_BEGIN
template <class T>
struct adl_serializer<std::optional<T>> {
  static void to_json(json& j, const std::optional<T>& v) {
    if (v) j = *v;
    else j = nullptr;
  }
  static void from_json(const json& j, std::optional<T>& v) {
    if (j.is_null()) v.reset();
    else v = j.get<T>();
  }
};
template <>
struct adl_serializer<foreshadow::Millis> {
  static void to_json(json& j, const foreshadow::Millis& v) { j = v.count(); }
  static void from_json(const json& j, foreshadow::Millis& v) { v = foreshadow::Millis{j.get<foreshadow::Millis::rep>()}; }
};
template <>
struct adl_serializer<foreshadow::Time> {
  static void to_json(json& j, const foreshadow::Time& v) { j = foreshadow::to_ms(v); }
  static void from_json(const json& j, foreshadow::Time& v) { v = foreshadow::time_from_ms(j.get<std::int64_t>()); }
};
NLOHMANN_JSON_NAMESPACE_END

// Declares, in a header, the pair that FS_JSON_FIELDS defines in a .cpp (inside namespace foreshadow).
#define FS_JSON_DECLARE(Type)                             \
  void to_json(nlohmann::json& j, const Type& v);         \
  void from_json(const nlohmann::json& j, Type& v)
#define FS_JSON_PUT_(member) j[#member] = v.member;
#define FS_JSON_GET_(member) j.at(#member).get_to(v.member);
#define FS_JSON_FIELDS(Type, ...)                                                                             \
  void to_json(nlohmann::json& j, const Type& v) {                                                            \
    j = nlohmann::json::object();                                                                             \
    NLOHMANN_JSON_EXPAND(NLOHMANN_JSON_PASTE(FS_JSON_PUT_, __VA_ARGS__))                                      \
  }                                                                                                           \
  void from_json(const nlohmann::json& j, Type& v) {                                                          \
    NLOHMANN_JSON_EXPAND(NLOHMANN_JSON_PASTE(FS_JSON_GET_, __VA_ARGS__))                                      \
  }

namespace foreshadow {

FS_JSON_DECLARE(Error);
FS_JSON_DECLARE(Endpoint);
FS_JSON_DECLARE(Instance);
FS_JSON_DECLARE(Segment);
FS_JSON_DECLARE(KindTraits);
FS_JSON_DECLARE(Resource);
FS_JSON_DECLARE(ThresholdRule);
FS_JSON_DECLARE(CanaryPolicy);
FS_JSON_DECLARE(HoldPolicy);
FS_JSON_DECLARE(BudgetPolicy);
FS_JSON_DECLARE(FailoverPolicy);
FS_JSON_DECLARE(ThresholdBounds);
FS_JSON_DECLARE(Policy);
FS_JSON_DECLARE(SegmentRoute);
FS_JSON_DECLARE(RouteTable);
FS_JSON_DECLARE(Histogram);
FS_JSON_DECLARE(Failures);
FS_JSON_DECLARE(SideStats);
FS_JSON_DECLARE(MirrorStats);
FS_JSON_DECLARE(Refusals);
FS_JSON_DECLARE(InsuranceStats);
FS_JSON_DECLARE(SegmentStats);
FS_JSON_DECLARE(InstanceStats);
FS_JSON_DECLARE(Unmovable);
FS_JSON_DECLARE(MirrorPace);
FS_JSON_DECLARE(DoubtStats);
FS_JSON_DECLARE(HoldWaits);
FS_JSON_DECLARE(HoldFelt);
FS_JSON_DECLARE(GatewayReport);
FS_JSON_DECLARE(GatewayAck);
FS_JSON_DECLARE(HorizonScore);
FS_JSON_DECLARE(Reason);
FS_JSON_DECLARE(Outlook);
FS_JSON_DECLARE(Outcome);
FS_JSON_DECLARE(Tuning);
FS_JSON_DECLARE(Effect);
FS_JSON_DECLARE(SegmentEvidence);
FS_JSON_DECLARE(Event);
FS_JSON_DECLARE(Autonomy);
FS_JSON_DECLARE(Retirement);
FS_JSON_DECLARE(HoldState);
FS_JSON_DECLARE(CircuitState);
FS_JSON_DECLARE(Verdict);
FS_JSON_DECLARE(Helps);
FS_JSON_DECLARE(Verb);
FS_JSON_DECLARE(Phase);
FS_JSON_DECLARE(HandoverStep);

// Text in, value out; the error names what was wrong.
template <class T>
Result<T> decode(std::string_view text) {
  try {
    return nlohmann::json::parse(text).get<T>();
  } catch (const nlohmann::json::exception& e) {
    return fail(Code::invalid, e.what());
  }
}
template <class T, std::same_as<nlohmann::json> Json>
Result<T> decode(const Json& j) {
  try {
    return j.template get<T>();
  } catch (const nlohmann::json::exception& e) {
    return fail(Code::invalid, e.what());
  }
}
// One line, no spaces. Bytes that are not UTF-8 are replaced, never thrown on.
template <class T>
std::string encode(const T& value) {
  return nlohmann::json(value).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace foreshadow
