// The options of one segment that say how the shadow stands in for a primary that fails (docs/insurance.md), and by
// which key its service tells repeated writes apart.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "base/time.hpp"
#include "kinds/http/compare/standing.hpp"
#include "kinds/kind.hpp"

namespace foreshadow::kinds::http {

struct InsuranceOptions {
  bool on = false;
  Millis wait{1000};       // for the shadow's answer to begin
  Millis staleness{2000};  // an older answer is not served, nor any to a client that has written in this time
  std::vector<int> statuses{500, 502, 503, 504};  // of the primary, that count as its failure
  StandingRule standing;
  std::uint64_t at_once = 64;          // more requests than these are not insured at a time
  std::uint64_t prefix_max = 8 << 20;  // of an answer that was cut: what the shadow is made to send again
  bool mark = true;                    // an answer of the shadow's says so
};

std::vector<OptionInfo> insurance_option_infos();
bool is_insurance_option(std::string_view name);
// Errors: invalid, as the end of a sentence that begins with the value.
Result<void> set_insurance_option(InsuranceOptions& options, const std::string& name, const std::string& text);
// A segment's options together, each good by itself, and with the resource's. Errors: invalid, naming the option.
Result<void> check_insurance(const Options& own, const Options& resources);

// The name of a header in lower case. Errors: invalid, as above.
Result<std::string> parse_key_name(const std::string& text);

}  // namespace foreshadow::kinds::http
