#include "kinds/http/wire/match.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "kinds/http/wire/text.hpp"

namespace foreshadow::kinds::http {

Result<Matcher> Matcher::make(const std::vector<std::map<std::string, std::string>>& conditions) {
  Matcher matcher;
  for (const auto& set : conditions) {
    auto& rule = matcher.rules_.emplace_back();
    for (const auto& [name, value] : set) {
      if (name == "method") {
        for_each_element(value, [&](std::string_view method) { rule.methods.emplace_back(method); });
        if (rule.methods.empty() || !std::ranges::all_of(rule.methods, is_token))
          return fail(Code::invalid,
                      fmt::format("match: method: '{}' is no list of methods, as in \"GET,HEAD\"", value));
      } else if (name == "path") {
        rule.path = value;
        if (rule.path.ends_with("/**")) {
          rule.prefix = true;
          rule.path.resize(rule.path.size() - 3);
        }
        if (!value.starts_with('/') || rule.path.find('*') != std::string::npos)
          return fail(
              Code::invalid,
              fmt::format("match: path: '{}' must be a path like /orders or a prefix like /products/**", value));
      } else {
        return fail(Code::invalid, fmt::format("match: unknown condition '{}'; http knows method and path", name));
      }
    }
  }
  return matcher;
}

std::size_t Matcher::match(std::string_view method, std::string_view target) const {
  const auto path = target.substr(0, target.find('?'));
  for (std::size_t i = 0; i < rules_.size(); ++i) {
    const auto& rule = rules_[i];
    if (!rule.methods.empty() && std::ranges::find(rule.methods, method) == rule.methods.end()) continue;
    if (rule.prefix) {
      if (!path.starts_with(rule.path) || (path.size() > rule.path.size() && path[rule.path.size()] != '/')) continue;
    } else if (!rule.path.empty() && path != rule.path) {
      continue;
    }
    return i;
  }
  return rules_.size();
}

}  // namespace foreshadow::kinds::http
