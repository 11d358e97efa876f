// Which segment a request belongs to: the first whose conditions all hold. Where it cannot be told whether a condition
// holds (see path.hpp), the search ends: the request belongs to no segment, and so goes to the current side and is not
// mirrored. Conditions are compiled once; matching does not allocate and has an answer for every request.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "kinds/http/wire/path.hpp"
#include "kinds/http/wire/rewrite.hpp"

namespace foreshadow::kinds::http {

class Matcher {
 public:
  // The conditions it knows; what each may be stands in docs/configuration.md. Several values are separated
  // by line feeds; all headers must fit, and one of the others.
  static std::vector<std::string> names();
  // Error: invalid, one condition's value and how to mend it.
  static Result<void> check(const std::string& name, const std::string& value);
  // One set of conditions per segment, in order. Errors (invalid): an unknown condition, a value that check() refuses.
  static Result<Matcher> make(const std::vector<std::map<std::string, std::string>>& conditions);

  // The index of the segment; one past the last if the request belongs to none. `connection`: of that head.
  std::size_t match(const RequestHead& head, const Connection& connection) const;

 private:
  struct Host {
    std::string name;    // in lower case, without a port
    bool below = false;  // any name that ends in "." and this one
  };
  struct Header {
    std::string name;                  // in lower case
    std::optional<std::string> value;  // nothing: any
  };
  struct Rule {
    std::vector<std::string> methods;  // empty: any
    std::vector<Host> hosts;           // empty: any
    std::vector<Header> headers;       // all of them
    std::vector<PathTemplate> paths;   // one of them; empty: any
  };
  struct Paths;
  static Result<void> add(Rule& rule, const std::string& name, const std::string& value);
  static Match match_host(const std::vector<Host>& hosts, std::string_view host);
  static Match match_header(const Header& header, const RequestHead& head, const Connection& connection);
  std::vector<Rule> rules_;
};

}  // namespace foreshadow::kinds::http
