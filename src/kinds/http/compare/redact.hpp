// What must not be shown of answers that are kept as samples: values whose name says that they are secret. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace foreshadow::kinds::http {

inline constexpr std::string_view kRedacted = "(redacted)";

class Secrets {
 public:
  // `more`: further names, beside the usual ones.
  explicit Secrets(const std::vector<std::string>& more);
  Secrets() : Secrets(std::vector<std::string>{}) {}
  // Of a header, a key of a JSON object or a parameter: does it contain one of the names, whatever its case, and with
  // or without '-' and '_' in it?
  bool named_by(std::string_view name) const;

 private:
  std::vector<std::string> names_;  // in lower case, letters and digits only
};

// The target of a request with the values of its query left out: "/search?q=..&page=..".
std::string without_values(std::string_view target);
// At most `max` bytes, and nothing but characters that can be shown; cut never within one.
std::string showable(std::string_view text, std::size_t max);

}  // namespace foreshadow::kinds::http
