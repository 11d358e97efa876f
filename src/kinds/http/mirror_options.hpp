// The settings of mirroring and of the comparison of answers (docs/comparison.md), out of the configuration's flat
// text.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "base/time.hpp"
#include "kinds/kind.hpp"

namespace foreshadow::kinds::http {

struct MirrorOptions {
  Millis timeout{5000};    // a shadow slower than this failed a copy
  double writes_per_s = 1000;  // copies of unsafe requests, where the service honours the mark
  bool trial = true;       // keeps the mirror harmless by itself (docs/mirroring.md)
  double harmless = 0.05;  // what mirroring may make answers slower by
  Millis slot{50};
  bool compare = true;                      // false: by the class of the status alone
  std::size_t compare_body_max = 64 << 10;  // bytes kept of each answer's body
  double compare_noise = 0.01;              // share of safe copies that are sent twice
  double compare_relative = 0.2;            // see NoiseRule
  double compare_absolute = 0.0003;
  double compare_cpu = 0.1;                 // of one core, at most
  std::size_t compare_samples = 32;         // differing answers kept to look at
  std::vector<std::string> compare_ignore;  // "header.x-build", "body.generated_at"
  std::vector<std::string> compare_redact;  // names whose values are not shown
};

std::vector<OptionInfo> mirror_option_infos();
bool is_mirror_option(std::string_view name);
// Requires: is_mirror_option. Error: invalid, as the end of a sentence that begins with the value.
Result<void> set_mirror_option(MirrorOptions& options, const std::string& name, const std::string& text);

}  // namespace foreshadow::kinds::http
