// Paths of requests against templates of paths: /orders/{id}, /static/**. A path can be written in many ways
// (percent-encoding, dot segments, doubled slashes), and services do not agree on how they read them. What would be a
// match in one reading and none in another is *unknown*, so that no spelling of a path smuggles a request into a
// segment, nor out of it. Only for matching: what is forwarded is the target as it came. Pure; never allocates while
// it matches.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace foreshadow::kinds::http {

enum class Match { no, yes, unknown };

// A path as every reader would read it, up to where they part.
struct ReadPath {
  std::string_view text;  // percent-decoded; begins with '/' (or is "*")
  bool certain = true;    // false: `text` ends with a '/', and what follows it is not known
};

enum class Dots {
  resolved,  // RFC 3986, section 5.2.4
  kept,      // as ordinary segments, which is what many a router takes them for
};

// Readers part at an encoded slash, backslash, semicolon, percent sign, '?', '#' or control character, at a raw
// backslash or semicolon, at a doubled slash, at a malformed escape and at bytes that no UTF-8 has; where dots may hide
// behind such a place, nothing is certain. `buffer` holds the text if it differs from the path; a path longer than the
// buffer is not certain. `path`: without its query.
ReadPath read_path(std::string_view path, Dots dots, std::span<char> buffer);
// Is a segment of it "." or "..", written plainly or encoded?
bool may_have_dots(std::string_view path);

class PathTemplate {
 public:
  // "/orders", "/orders/{id}" (one segment that is not empty), "/products/**" (that path and everything below it).
  // Error: invalid, saying what and how to mend it.
  static Result<PathTemplate> parse(std::string_view text);
  Match match(const ReadPath& path) const;

 private:
  struct Part {
    bool any = false;
    std::string text;  // decoded
  };
  std::vector<Part> parts_;
  bool tail_ = false;
};

}  // namespace foreshadow::kinds::http
