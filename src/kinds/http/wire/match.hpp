// Which segment a request belongs to: the first whose conditions all hold.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace foreshadow::kinds::http {

class Matcher {
 public:
  // One set of conditions per segment, in order. Errors (invalid): an unknown condition, a path without a leading '/'.
  static Result<Matcher> make(const std::vector<std::map<std::string, std::string>>& conditions);
  // The index of the segment; one past the last if none matches. The query is no part of the path.
  std::size_t match(std::string_view method, std::string_view target) const;

 private:
  struct Rule {
    std::vector<std::string> methods;  // empty: any
    std::string path;                  // empty: any
    bool prefix = false;               // `path` and everything below it
  };
  std::vector<Rule> rules_;
};

}  // namespace foreshadow::kinds::http
