#include "observe/calendar.hpp"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <array>
#include <optional>
#include <tuple>

#include "io/files.hpp"

namespace foreshadow::observe {
namespace {

constexpr std::size_t rules_max = 10'000;
constexpr std::size_t occurrences_max = 1000;
constexpr Millis day{std::chrono::days{1}};
constexpr Millis week{std::chrono::days{7}};

// Reads fixed-width digits and single characters off the front of a text.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}
  std::optional<int> digits(std::size_t count) {
    if (text_.size() < count) return std::nullopt;
    int value = 0;
    for (std::size_t i = 0; i < count; ++i) {
      if (text_[i] < '0' || text_[i] > '9') return std::nullopt;
      value = value * 10 + (text_[i] - '0');
    }
    text_.remove_prefix(count);
    return value;
  }
  bool one_of(std::string_view set) {
    if (text_.empty() || set.find(text_.front()) == std::string_view::npos) return false;
    taken_ = text_.front();
    text_.remove_prefix(1);
    return true;
  }
  char taken() const { return taken_; }
  bool done() const { return text_.empty(); }

 private:
  std::string_view text_;
  char taken_ = 0;
};

std::string place(const std::string& file, const YAML::Mark& mark) {
  // yaml-cpp counts from zero; a null mark means that it could not tell.
  if (mark.line < 0) return file;
  return fmt::format("{}:{}:{}", file, mark.line + 1, mark.column + 1);
}

class Reader {
 public:
  explicit Reader(const std::string& file) : file_(file) {}

  Result<std::vector<CalendarRule>> read(const YAML::Node& root) {
    std::vector<CalendarRule> rules;
    if (root.IsNull()) return rules;
    if (!root.IsSequence()) return error(root, "a calendar is a list of events: - {name: ..., starts: ..., ends: ...}");
    if (root.size() > rules_max) return error(root, fmt::format("more than {} events", rules_max));
    for (const auto& node : root) {
      FS_TRY(rule, read_rule(node));
      rules.push_back(std::move(rule));
    }
    return rules;
  }

 private:
  tl::unexpected<Error> error(const YAML::Node& node, const std::string& what) const {
    return fail(Code::invalid, place(file_, node.Mark()) + ": " + what);
  }

  Result<CalendarRule> read_rule(const YAML::Node& node) const {
    if (!node.IsMap()) return error(node, "an event is a map with name, starts and ends");
    CalendarRule rule;
    std::array<bool, 4> seen{};
    for (const auto& pair : node) {
      constexpr std::array keys{"name", "starts", "ends", "repeats"};
      if (!pair.first.IsScalar()) return error(pair.first, "a key must be a word");
      const auto key = std::ranges::find(keys, pair.first.Scalar());
      if (key == keys.end())
        return error(pair.first,
                     fmt::format("unknown key '{}'; known are name, starts, ends, repeats", pair.first.Scalar()));
      const auto index = static_cast<std::size_t>(key - keys.begin());
      if (seen[index]) return error(pair.first, fmt::format("'{}' is given twice", *key));
      seen[index] = true;
      if (!pair.second.IsScalar()) return error(pair.second, fmt::format("'{}' must be a plain value", *key));
      FS_CHECK(read_value(rule, index, pair.second));
    }
    if (!seen[0] || rule.name.empty()) return error(node, "the event has no name");
    if (!seen[1]) return error(node, fmt::format("event '{}' has no 'starts'", rule.name));
    if (!seen[2]) return error(node, fmt::format("event '{}' has no 'ends'", rule.name));
    if (rule.ends <= rule.starts) return error(node, fmt::format("event '{}' ends before it starts", rule.name));
    const auto period = rule.repeats == Repeats::daily ? day : week;
    if (rule.repeats != Repeats::never && rule.ends - rule.starts > period)
      return error(node, fmt::format("event '{}' is longer than its repetition", rule.name));
    return rule;
  }

  Result<void> read_value(CalendarRule& rule, std::size_t index, const YAML::Node& node) const {
    const auto& text = node.Scalar();
    switch (index) {
      case 0:
        if (text.size() > 200) return error(node, "a name has at most 200 characters");
        rule.name = text;
        return {};
      case 1:
      case 2: {
        const auto time = parse_rfc3339(text);
        if (!time) return error(node, time.error().what);
        (index == 1 ? rule.starts : rule.ends) = *time;
        return {};
      }
      default:
        if (text == "daily")
          rule.repeats = Repeats::daily;
        else if (text == "weekly")
          rule.repeats = Repeats::weekly;
        else
          return error(node, fmt::format("repeats is daily or weekly, not '{}'", text));
        return {};
    }
  }

  const std::string& file_;
};

}  // namespace

Result<Time> parse_rfc3339(std::string_view text) {
  const auto bad = [&] {
    return fail(Code::invalid,
                fmt::format("'{}' is not a time with offset such as 2026-03-02T06:00:00Z", text.substr(0, 60)));
  };
  Scanner in(text);
  const auto year = in.digits(4);
  if (!year || !in.one_of("-")) return bad();
  const auto month = in.digits(2);
  if (!month || !in.one_of("-")) return bad();
  const auto day_of_month = in.digits(2);
  if (!day_of_month || !in.one_of("Tt ")) return bad();
  const auto hour = in.digits(2);
  if (!hour || !in.one_of(":")) return bad();
  const auto minute = in.digits(2);
  if (!minute || !in.one_of(":")) return bad();
  const auto second = in.digits(2);
  if (!second) return bad();
  int ms = 0;
  if (in.one_of(".")) {
    int scale = 100, count = 0;
    for (auto digit = in.digits(1); digit; digit = in.digits(1), ++count) {
      ms += *digit * scale;
      scale /= 10;
    }
    if (count == 0 || count > 9) return bad();
  }
  int offset_minutes = 0;
  if (in.one_of("+-")) {
    const int sign = in.taken() == '-' ? -1 : 1;
    const auto hours = in.digits(2);
    if (!hours || !in.one_of(":")) return bad();
    const auto minutes = in.digits(2);
    if (!minutes || *hours > 23 || *minutes > 59) return bad();
    offset_minutes = sign * (*hours * 60 + *minutes);
  } else if (!in.one_of("Zz")) {
    return bad();
  }
  if (!in.done()) return bad();
  const std::chrono::year_month_day date{std::chrono::year{*year}, std::chrono::month{static_cast<unsigned>(*month)},
                                         std::chrono::day{static_cast<unsigned>(*day_of_month)}};
  if (!date.ok() || *year < 1970 || *hour > 23 || *minute > 59 || *second > 60) return bad();
  const Millis since_epoch = std::chrono::sys_days{date}.time_since_epoch() + std::chrono::hours{*hour} +
                             std::chrono::minutes{*minute - offset_minutes} +
                             std::chrono::seconds{std::min(*second, 59)} + Millis{ms};
  return Time{since_epoch};
}

std::vector<CalendarEntry> Calendar::entries(Time from, Time to) const {
  std::vector<CalendarEntry> found;
  for (const auto& rule : rules_) {
    const auto length = rule.ends - rule.starts;
    const auto period = rule.repeats == Repeats::daily ? day : week;
    auto start = rule.starts;
    if (rule.repeats != Repeats::never && start + length <= from)
      start += period * ((from - (start + length)) / period + 1);
    for (; start < to && start + length > from && found.size() < occurrences_max; start += period) {
      found.push_back({rule.name, start, start + length});
      if (rule.repeats == Repeats::never) break;
    }
  }
  std::ranges::sort(found, {}, [](const CalendarEntry& e) { return std::tie(e.starts, e.ends, e.name); });
  return found;
}

Result<Calendar> parse_calendar(std::string_view text, const std::string& file) {
  try {
    const auto documents = YAML::LoadAll(std::string(text));
    if (documents.empty()) return Calendar{};
    if (documents.size() > 1) return fail(Code::invalid, file + ": more than one YAML document");
    FS_TRY(rules, Reader(file).read(documents.front()));
    return Calendar(std::move(rules));
  } catch (const YAML::Exception& e) {
    return fail(Code::invalid, place(file, e.mark) + ": " + e.msg);
  } catch (const std::exception& e) {
    return fail(Code::invalid, file + ": " + e.what());
  }
}

Result<Calendar> load_calendar(const std::string& path) {
  FS_TRY(text, io::read_file(path, 1 << 20));
  return parse_calendar(text, path);
}

}  // namespace foreshadow::observe
