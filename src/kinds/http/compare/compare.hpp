// Two answers to one request, compared as a person would: status, headers but for those that always differ, and the
// body, decoded first where its coding is known: JSON field by field, all else by digest. Pure; its work is bounded by
// the sizes of what it is given and by the limits here.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "kinds/http/compare/answer_copy.hpp"
#include "kinds/http/compare/json_leaves.hpp"
#include "kinds/http/compare/redact.hpp"

namespace foreshadow::kinds::http {

// Fields that are not compared. By default those that no two answers share, such as Date.
class IgnoredFields {
 public:
  IgnoredFields();
  // "header.x-build", "body.generated_at", "body.meta.*" with all below it; "!header.etag" compares what is ignored by
  // default. Error: invalid, saying what it may be.
  Result<void> add(std::string field);
  bool has(std::string_view field) const;

 private:
  std::set<std::string, std::less<>> exact_;
  std::vector<std::string> prefixes_;
};

struct CompareSettings {
  IgnoredFields ignored;
  Secrets secrets;
  std::size_t decoded_bytes_max = 1 << 20;
  JsonLimits json;
  std::size_t differences_max = 64;
};

// One field in which they differ, with the first two values seen of it: redacted, shortened, fit to be shown.
struct Difference {
  std::string field;
  std::string one;
  std::string other;
  friend bool operator==(const Difference&, const Difference&) = default;
};

struct Comparison {
  enum class Body {
    compared,
    too_large,  // the same as far as it was looked at; or not looked at, because the codings differ too
    encoded,    // compared without decoding: a coding that is not known, or too much in it
  };
  Body body = Body::compared;
  bool classes_differ = false;          // of the status: nothing else was compared
  std::vector<Difference> differences;  // at most differences_max, and one a field
};

// One whose head cannot be read differs in "status", with the class.
Comparison compare(const AnswerCopy& one, const AnswerCopy& other, const CompareSettings& settings);

}  // namespace foreshadow::kinds::http
