#include "kinds/http/wire/identity.hpp"

#include <algorithm>

#include "kinds/http/wire/text.hpp"

namespace foreshadow::kinds::http {
namespace {

constexpr std::string_view kDigits = "0123456789abcdef";
constexpr std::size_t kTraceIdDigits = 32, kParentIdDigits = 16;
// version "-" trace-id "-" parent-id "-" trace-flags
constexpr std::size_t kParentLength = 2 + 1 + kTraceIdDigits + 1 + kParentIdDigits + 1 + 2;
// Bits that mean something: sampled, and (level 2) that the trace-id is random. The others are to be sent as 0.
constexpr unsigned kFlagsKnown = 0x03;
constexpr unsigned kSampled = 0x01;
constexpr std::size_t kRandomDigits = 16;
constexpr std::string_view kRequestIdField = "X-Request-Id: ";
constexpr std::string_view kTraceField = "traceparent: 00-";

bool is_hex(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return is_digit(c) || (c >= 'a' && c <= 'f'); });
}
bool is_zero(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c == '0'; });
}
unsigned digit(char c) { return static_cast<unsigned>(is_digit(c) ? c - '0' : c - 'a' + 10); }

// 64 random bits, not all zero, as 16 digits.
void append_random(std::string& out, Random& random) {
  auto bits = random.next();
  if (bits == 0) bits = 1;
  for (int shift = 60; shift >= 0; shift -= 4) out += kDigits[(bits >> shift) & 15];
}

// The client's fields that concern us, as they would pass.
struct Given {
  std::string_view request_id, traceparent;
  int request_ids = 0, traceparents = 0, tracestates = 0;
};
Given find(const RequestHead& head, const Connection& connection) {
  Given given;
  for (const auto& field : head.fields) {
    const auto size = field.name.size();
    if (size < 10 || size > 12) continue;
    if (size == 12 && equals_lower(field.name, "x-request-id")) {
      if (!is_end_to_end(field, connection)) continue;
      given.request_id = field.value;
      ++given.request_ids;
    } else if (size == 11 && equals_lower(field.name, "traceparent")) {
      if (!is_end_to_end(field, connection)) continue;
      given.traceparent = field.value;
      ++given.traceparents;
    } else if (size == 10 && equals_lower(field.name, "tracestate")) {
      ++given.tracestates;
    }
  }
  return given;
}

void set_request_id(Identity& identity, const Given& given, const IdentityRules& rules, Random& random) {
  if (rules.request_id == IdentityRules::Ids::off) return;
  // Two of them are none: whom would one believe?
  if (given.request_ids == 1 && is_request_id(given.request_id)) {
    if (rules.told) identity.request_id = given.request_id;
    return;
  }
  identity.drops_request_id = given.request_ids > 0;
  if (rules.request_id != IdentityRules::Ids::make) return;
  identity.lines += kRequestIdField;
  append_random(identity.lines, random);
  append_random(identity.lines, random);
  identity.lines += "\r\n";
}

void set_trace(Identity& identity, const Given& given, const IdentityRules& rules, Random& random) {
  if (rules.trace == IdentityRules::Traces::off) return;
  const auto parent = given.traceparents == 1 ? parse_traceparent(given.traceparent) : std::nullopt;
  if (parent) {
    if (!rules.told) return;
  } else {
    // Section 3.3: without a valid traceparent, tracestate is nobody's.
    identity.drops_tracestate = given.tracestates > 0;
  }
  identity.drops_traceparent = given.traceparents > 0;
  if (!parent && rules.trace != IdentityRules::Traces::start) return;
  auto& lines = identity.lines;
  lines += kTraceField;
  if (parent) {
    lines += parent->trace_id;
  } else {
    append_random(lines, random);
    append_random(lines, random);
  }
  lines += '-';
  append_random(lines, random);
  lines += "-0";
  lines += kDigits[parent ? parent->flags & kFlagsKnown : kSampled];
  lines += "\r\n";
}

// Once `lines` grows no more.
void point_into_lines(Identity& identity) {
  std::string_view lines = identity.lines;
  if (lines.starts_with(kRequestIdField)) {
    identity.request_id = lines.substr(kRequestIdField.size(), 2 * kRandomDigits);
    lines.remove_prefix(kRequestIdField.size() + 2 * kRandomDigits + 2);
  }
  if (lines.starts_with(kTraceField)) {
    identity.trace_id = lines.substr(kTraceField.size(), kTraceIdDigits);
    identity.span_id = lines.substr(kTraceField.size() + kTraceIdDigits + 1, kParentIdDigits);
  }
}

}  // namespace

bool is_request_id(std::string_view text) {
  return !text.empty() && text.size() <= kRequestIdMax &&
         std::ranges::all_of(text, [](char c) { return c > 0x20 && c < 0x7f; });
}

std::optional<TraceParent> parse_traceparent(std::string_view value) {
  if (value.size() < kParentLength || value[2] != '-' || value[35] != '-' || value[52] != '-') return std::nullopt;
  const auto version = value.substr(0, 2), flags = value.substr(53, 2);
  const TraceParent parent{value.substr(3, kTraceIdDigits), value.substr(36, kParentIdDigits), 0};
  if (!is_hex(version) || version == "ff" || !is_hex(flags)) return std::nullopt;
  if (!is_hex(parent.trace_id) || is_zero(parent.trace_id) || !is_hex(parent.parent_id) || is_zero(parent.parent_id))
    return std::nullopt;
  if (value.size() > kParentLength && (version == "00" || value[kParentLength] != '-')) return std::nullopt;
  return TraceParent{parent.trace_id, parent.parent_id, digit(flags[0]) * 16 + digit(flags[1])};
}

bool Identity::drops(std::string_view name) const {
  return (drops_request_id && equals_lower(name, "x-request-id")) ||
         (drops_traceparent && equals_lower(name, "traceparent")) ||
         (drops_tracestate && equals_lower(name, "tracestate"));
}

void identify(Identity& identity, const RequestHead& head, const Connection& connection, const IdentityRules& rules,
              Random& random) {
  const auto given = find(head, connection);
  set_request_id(identity, given, rules, random);
  set_trace(identity, given, rules, random);
  point_into_lines(identity);
}

}  // namespace foreshadow::kinds::http
