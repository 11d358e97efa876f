#include "observe/calendar.hpp"

#include <gtest/gtest.h>

#include <fstream>

#include "support/temp_dir.hpp"

namespace foreshadow::observe {
namespace {

std::string error_of(const std::string& text) {
  const auto calendar = parse_calendar(text, "cal.yaml");
  return calendar ? "" : calendar.error().what;
}
Time t(const char* text) { return parse_rfc3339(text).value(); }

TEST(Rfc3339, reads_offsets_and_fractions) {
  EXPECT_EQ(to_ms(t("1970-01-01T00:00:00Z")), 0);
  EXPECT_EQ(t("2026-03-02T06:00:00+01:00"), t("2026-03-02T05:00:00Z"));
  EXPECT_EQ(t("2026-03-02t06:00:00.250z"), t("2026-03-02T06:00:00Z") + Millis{250});
  EXPECT_EQ(t("2026-03-02 06:00:00-05:30"), t("2026-03-02T11:30:00Z"));
  EXPECT_EQ(t("2016-12-31T23:59:60Z"), t("2016-12-31T23:59:59Z"));
  EXPECT_EQ(to_ms(t("2024-02-29T12:00:00Z")), 1'709'208'000'000);
}

TEST(Rfc3339, refuses_what_is_not_one) {
  for (const char* bad :
       {"", "2026-03-02", "2026-03-02T06:00:00", "2026-3-2T06:00:00Z", "2025-02-29T00:00:00Z", "2026-03-02T24:00:00Z",
        "2026-03-02T06:60:00Z", "2026-03-02T06:00:61Z", "2026-03-02T06:00:00.Z", "2026-03-02T06:00:00Zx",
        "2026-03-02T06:00:00+1:00", "2026-03-02T06:00:00+24:00", "1969-12-31T00:00:00Z", "2026-13-01T00:00:00Z"})
    EXPECT_FALSE(parse_rfc3339(bad)) << bad;
}

constexpr const char* good = R"(
- name: payroll
  starts: 2026-03-02T06:00:00Z
  ends: 2026-03-02T08:00:00Z
  repeats: weekly
- {name: launch, starts: "2026-03-10T10:00:00+01:00", ends: 2026-03-10T12:00:00Z}
)";

TEST(Calendar, reads_events) {
  const auto calendar = parse_calendar(good, "cal.yaml");
  ASSERT_TRUE(calendar) << calendar.error().what;
  ASSERT_EQ(calendar->rules().size(), 2U);
  EXPECT_EQ(calendar->rules()[0].repeats, Repeats::weekly);
  EXPECT_EQ(calendar->rules()[1].starts, t("2026-03-10T09:00:00Z"));
  EXPECT_TRUE(parse_calendar("", "c")->rules().empty());
  EXPECT_TRUE(parse_calendar("[]", "c")->rules().empty());
}

TEST(Calendar, occurrences_within_a_window) {
  const auto calendar = parse_calendar(good, "cal.yaml").value();
  const auto found = calendar.entries(t("2026-03-09T07:00:00Z"), t("2026-03-16T06:30:00Z"));
  ASSERT_EQ(found.size(), 3U);
  EXPECT_EQ(found[0], (CalendarEntry{"payroll", t("2026-03-09T06:00:00Z"), t("2026-03-09T08:00:00Z")}));
  EXPECT_EQ(found[1].name, "launch");
  EXPECT_EQ(found[2].starts, t("2026-03-16T06:00:00Z"));
  EXPECT_TRUE(calendar.entries(t("2026-03-01T00:00:00Z"), t("2026-03-02T06:00:00Z")).empty());  // before the first
  EXPECT_TRUE(calendar.entries(t("2026-03-09T08:00:00Z"), t("2026-03-10T09:00:00Z")).empty());  // ends are exclusive
}

TEST(Calendar, a_century_of_daily_events_stays_bounded) {
  const auto calendar =
      parse_calendar("- {name: x, starts: 2000-01-01T00:00:00Z, ends: 2000-01-01T01:00:00Z, repeats: daily}", "c")
          .value();
  EXPECT_EQ(calendar.entries(t("2000-01-01T00:00:00Z"), t("2100-01-01T00:00:00Z")).size(), 1000U);
}

TEST(Calendar, errors_name_the_place_and_the_mend) {
  EXPECT_EQ(error_of("- name: x\n  starts: 2026-03-02T06:00:00Z\n  end: 1\n"),
            "cal.yaml:3:3: unknown key 'end'; known are name, starts, ends, repeats");
  EXPECT_EQ(error_of("- name: x\n  starts: tomorrow\n"),
            "cal.yaml:2:11: 'tomorrow' is not a time with offset such as 2026-03-02T06:00:00Z");
  EXPECT_EQ(error_of("name: x"), "cal.yaml:1:1: a calendar is a list of events: - {name: ..., starts: ..., ends: ...}");
  EXPECT_NE(error_of("- {name: x, name: y}").find("given twice"), std::string::npos);
  EXPECT_NE(error_of("- {starts: 2026-03-02T06:00:00Z}").find("no name"), std::string::npos);
  EXPECT_NE(error_of("- {name: x, starts: 2026-03-02T06:00:00Z}").find("no 'ends'"), std::string::npos);
  EXPECT_NE(error_of("- {name: x, starts: 2026-03-02T06:00:00Z, ends: 2026-03-02T06:00:00Z}").find("ends before"),
            std::string::npos);
  EXPECT_NE(error_of("- {name: x, repeats: hourly}").find("daily or weekly"), std::string::npos);
  EXPECT_NE(
      error_of("- {name: x, starts: 2026-03-02T06:00:00Z, ends: 2026-03-04T06:00:00Z, repeats: daily}").find("longer"),
      std::string::npos);
  EXPECT_NE(error_of("- {name: [x]}").find("plain value"), std::string::npos);
  EXPECT_NE(error_of("- 5").find("map"), std::string::npos);
  EXPECT_NE(error_of("- {name: x").find("cal.yaml:"), std::string::npos);
  EXPECT_NE(error_of("---\n[]\n---\n[]\n").find("more than one"), std::string::npos);
  EXPECT_NE(error_of(std::string(5000, '[')).find("cal.yaml"), std::string::npos);
}

TEST(Calendar, loads_a_file) {
  foreshadow::testing::TempDir dir;
  EXPECT_EQ(load_calendar(dir.path() + "/none").error().code, Code::unreachable);
  std::ofstream(dir.path() + "/c.yaml") << good;
  EXPECT_EQ(load_calendar(dir.path() + "/c.yaml")->rules().size(), 2U);
}

}  // namespace
}  // namespace foreshadow::observe
