#include "kinds/http/insurance_options.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/units.hpp"
#include "kinds/http/option_text.hpp"
#include "kinds/http/wire/text.hpp"

namespace foreshadow::kinds::http {
namespace {

constexpr std::string_view kPrefix = "insurance_";

Result<std::vector<int>> parse_statuses(const std::string& text) {
  std::vector<int> statuses;
  if (text == "none") return statuses;
  bool good = true;
  for_each_element(text, [&](std::string_view word) {
    int status = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), status);
    good = good && error == std::errc{} && end == word.data() + word.size() && status >= 500 && status <= 599;
    statuses.push_back(status);
  });
  if (!good || statuses.empty())
    return fail(Code::invalid, "must be none, or statuses of 500 to 599 as in \"502, 503\"");
  return statuses;
}

}  // namespace

std::vector<OptionInfo> insurance_option_infos() {
  return {
      {"insurance",
       "true: where the primary fails a safe request before its answer begins, or cuts its answer, the shadow's is "
       "taken, as long as their answers compare well (default false)"},
      {"insurance_wait", "the shadow's answer must begin within this (default 1s)"},
      {"insurance_staleness",
       "an answer of the shadow's that is older (Age) is not served, nor any to a client that wrote within this "
       "(default 2s)"},
      {"insurance_statuses", "answers of the primary that count as its failure (default \"500, 502, 503, 504\"; none)"},
      {"insurance_window", "how far back answers are looked at that were compared (default 5m)"},
      {"insurance_pairs", "so many must have been compared in that time (default 50)"},
      {"insurance_differing", "and no larger a share of them may have differed (default 1%)"},
      {"insurance_at_once", "requests that the shadow may be asked at a time (default 64)"},
      {"insurance_prefix_max",
       "an answer that was cut behind this is completed by Range instead of being compared from its beginning "
       "(default 8MiB)"},
      {"insurance_mark", "answers of the shadow's carry X-Foreshadow-Insured: shadow (default true)"},
  };
}

bool is_insurance_option(std::string_view name) {
  return std::ranges::any_of(insurance_option_infos(), [&](const OptionInfo& info) { return info.name == name; });
}

Result<void> set_insurance_option(InsuranceOptions& options, const std::string& name, const std::string& text) {
  if (name == "insurance") {
    FS_TRY(value, parse_bool(text));
    options.on = value;
  } else if (name == "insurance_wait") {
    FS_TRY(value, positive_duration(text));
    options.wait = value;
  } else if (name == "insurance_staleness") {
    if (text == "0s") {
      options.staleness = Millis{0};
      return {};
    }
    FS_TRY(value, positive_duration(text));
    options.staleness = value;
  } else if (name == "insurance_statuses") {
    FS_TRY(value, parse_statuses(text));
    options.statuses = std::move(value);
  } else if (name == "insurance_window") {
    FS_TRY(value, parse_duration(text));
    if (value < Millis{1000} || value > Millis{std::chrono::hours{1}})
      return fail(Code::invalid, "must lie between 1s and 1h");
    options.standing.window = value;
  } else if (name == "insurance_pairs") {
    FS_TRY(value, parse_count(text, 1, 1'000'000));
    options.standing.pairs = value;
  } else if (name == "insurance_differing") {
    FS_TRY(value, parse_fraction(text));
    options.standing.differing = value;
  } else if (name == "insurance_at_once") {
    FS_TRY(value, parse_count(text, 1, 10'000));
    options.at_once = value;
  } else if (name == "insurance_prefix_max") {
    FS_TRY(value, parse_bytes(text));
    options.prefix_max = value;
  } else {
    FS_TRY(value, parse_bool(text));
    options.mark = value;
  }
  return {};
}

Result<void> check_insurance(const Options& own, const Options& resources) {
  const auto is = [](const Options& options, const char* name, bool otherwise) {
    const auto found = options.find(name);
    return found == options.end() ? otherwise : parse_bool(found->second).value_or(otherwise);
  };
  const bool on = is(own, "insurance", false);
  for (const auto& [name, text] : own)
    if (!on && name.starts_with(kPrefix))
      return fail(Code::invalid,
                  fmt::format("option {}: there is no insurance to use it for; add insurance: true", name));
  if (on && !is(resources, "compare", true))
    return fail(
        Code::invalid,
        "option insurance: rests on the comparison of answers; remove compare: false from the resource's options");
  if (const auto found = resources.find("upstream_http"); on && found != resources.end() && found->second == "h2")
    return fail(Code::invalid,
                "option insurance: the shadow is asked over HTTP/1.1, which upstream_http: h2 rules out; write auto, "
                "with TLS to instances");
  return {};
}

Result<std::string> parse_key_name(const std::string& text) {
  if (!is_token(text)) return fail(Code::invalid, "names no header; write it as in Idempotency-Key");
  std::string name = text;
  std::ranges::transform(name, name.begin(), lower);
  return name;
}

}  // namespace foreshadow::kinds::http
