// Known events that change the workload, from a small YAML file that people write:
//   - {name: payroll, starts: 2026-03-02T06:00:00Z, ends: 2026-03-02T08:00:00Z, repeats: weekly}
// Strict: an unknown key, a missing one, a wrong type or a time without an offset is an error with file:line:column.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "base/time.hpp"
#include "domain/window.hpp"

namespace foreshadow::observe {

enum class Repeats { never, daily, weekly };

struct CalendarRule {
  std::string name;
  Time starts;
  Time ends;
  // In exact days or weeks of 24 hours after `starts`, without regard to daylight saving.
  Repeats repeats = Repeats::never;
  friend bool operator==(const CalendarRule&, const CalendarRule&) = default;
};

class Calendar {
 public:
  Calendar() = default;
  explicit Calendar(std::vector<CalendarRule> rules) : rules_(std::move(rules)) {}
  // Occurrences that touch [from, to), by start; at most 1000.
  std::vector<CalendarEntry> entries(Time from, Time to) const;
  const std::vector<CalendarRule>& rules() const { return rules_; }

 private:
  std::vector<CalendarRule> rules_;
};

// `file` is only for error texts. Error: invalid.
Result<Calendar> parse_calendar(std::string_view text, const std::string& file);
// At most 1 MiB. Errors: unreachable (no such file), invalid.
Result<Calendar> load_calendar(const std::string& path);

// RFC 3339 date-time with an offset ("2026-03-02T06:00:00.5+01:00"); leap second 60 is taken as 59. Years 1970..9999.
Result<Time> parse_rfc3339(std::string_view text);

}  // namespace foreshadow::observe
