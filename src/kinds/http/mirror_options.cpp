#include "kinds/http/mirror_options.hpp"

#include <algorithm>

#include "base/units.hpp"
#include "kinds/http/compare/compare.hpp"
#include "kinds/http/option_text.hpp"
#include "kinds/http/wire/text.hpp"

namespace foreshadow::kinds::http {
namespace {

// Bytes of one body that are kept, and so of what each of the mirror's connections may hold.
constexpr std::uint64_t kBodyMax = 1 << 20;
// All of them travel in one line of at most 4 MiB.
constexpr std::size_t kSamplesMax = 100;

constexpr Millis kSlotMin{5};
constexpr Millis kSlotMax{1000};

// A list in one text, as in "header.x-build, body.generated_at".
std::vector<std::string> words(const std::string& text) {
  std::vector<std::string> list;
  for_each_element(text, [&](std::string_view word) { list.emplace_back(word); });
  return list;
}

Result<void> set_fraction(double& option, const std::string& text, double min) {
  FS_TRY(value, parse_fraction(text));
  if (value < min) return fail(Code::invalid, "must be at least 0.1%; compare: false compares nothing");
  option = value;
  return {};
}

}  // namespace

std::vector<OptionInfo> mirror_option_infos() {
  return {
      {"mirror_timeout", "a mirrored request that the shadow answers no sooner failed there (default 5s)"},
      {"mirror_writes_per_second",
       "of segments with honours_mirror_mark, so many unsafe requests are mirrored at most (default 1000; 0: none)"},
      {"mirror_trial",
       "mirror nothing in one of twenty slots of time, and less everywhere when the primary is slower in the others "
       "(default true)"},
      {"mirror_harmless", "what mirroring may make the primary's answers slower by (default 5%)"},
      {"mirror_slot", "how long such a slot is (default 50ms, 5ms to 1s)"},
      {"compare", "compare mirrored answers with the primary's (default true); false: only the class of the status"},
      {"compare_body_max", "a longer body of an answer is compared by its digest (default 64KiB, at most 1MiB)"},
      {"compare_noise", "share of mirrored safe requests that the shadow gets twice, to learn noise (default 1%)"},
      {"compare_relative",
       "a field differs when it does so more often than noise explains by this share of both rates' sum (default 20%)"},
      {"compare_absolute", "and by this share of all pairs (default 0.03%)"},
      {"compare_cpu", "most of one core that comparing may use (default 10%)"},
      {"compare_samples", "differing answers that are kept to look at (default 32; 0: none)"},
      {"compare_ignore", "fields that are not compared, as in \"header.x-build, body.generated_at, body.meta.*\""},
      {"compare_redact", "further names of headers and JSON keys whose values are never shown, separated by commas"},
  };
}

bool is_mirror_option(std::string_view name) {
  return std::ranges::any_of(mirror_option_infos(), [&](const OptionInfo& info) { return info.name == name; });
}

Result<void> set_mirror_option(MirrorOptions& options, const std::string& name, const std::string& text) {
  if (name == "mirror_timeout") {
    FS_TRY(value, positive_duration(text));
    options.timeout = value;
  } else if (name == "mirror_writes_per_second") {
    FS_TRY(value, parse_count(text, 0, 1'000'000));
    options.writes_per_s = static_cast<double>(value);
  } else if (name == "mirror_trial") {
    FS_TRY(value, parse_bool(text));
    options.trial = value;
  } else if (name == "mirror_harmless") {
    return set_fraction(options.harmless, text, 0);
  } else if (name == "mirror_slot") {
    FS_TRY(value, positive_duration(text));
    if (value < kSlotMin || value > kSlotMax) return fail(Code::invalid, "must lie between 5ms and 1s");
    options.slot = value;
  } else if (name == "compare") {
    FS_TRY(value, parse_bool(text));
    options.compare = value;
  } else if (name == "compare_body_max") {
    FS_TRY(value, parse_bytes(text));
    if (value > kBodyMax) return fail(Code::invalid, "must be at most 1MiB");
    options.compare_body_max = static_cast<std::size_t>(value);
  } else if (name == "compare_noise") {
    return set_fraction(options.compare_noise, text, 0);
  } else if (name == "compare_relative") {
    return set_fraction(options.compare_relative, text, 0);
  } else if (name == "compare_absolute") {
    return set_fraction(options.compare_absolute, text, 0);
  } else if (name == "compare_cpu") {
    return set_fraction(options.compare_cpu, text, 0.001);
  } else if (name == "compare_samples") {
    FS_TRY(value, parse_count(text, 0, kSamplesMax));
    options.compare_samples = value;
  } else if (name == "compare_ignore") {
    options.compare_ignore = words(text);
    IgnoredFields trial;
    for (const auto& field : options.compare_ignore) FS_CHECK(trial.add(field));
  } else {
    options.compare_redact = words(text);
  }
  return {};
}

}  // namespace foreshadow::kinds::http
