// The head of an HTTP/1.1 message: bytes to values, to the letter of RFC 9112. Where the RFC lets a recipient repair a
// message (bare LF, folded lines, space before a colon), this refuses instead: what two parsers could read differently
// is how requests are smuggled. Pure; views point into the caller's bytes.
#pragma once

#include <string_view>
#include <tl/expected.hpp>
#include <vector>

namespace foreshadow::kinds::http {

struct Field {
  std::string_view name;
  std::string_view value;  // without whitespace at its ends
};

// Why a message is not taken, and the status a server answers a client's with. The connection must be closed after it:
// where the message ends is not known.
struct Refusal {
  int status = 400;
  const char* why = "";
};
template <class T>
using Parsed = tl::expected<T, Refusal>;

struct Limits {
  std::size_t head_bytes_max = 32 << 10;
  std::size_t target_bytes_max = 8 << 10;
  std::size_t fields_max = 128;
};

struct RequestHead {
  std::string_view method;
  // In origin-form (or "*"): of an absolute-form only what follows the authority.
  std::string_view target;
  // The one Host field, or the authority of the absolute-form, which are equal if there are both. Empty if HTTP/1.0
  // gave none.
  std::string_view host;
  int minor = 1;  // HTTP/1.0 or 1.1
  std::vector<Field> fields;
};

struct ResponseHead {
  int status = 0;
  int minor = 1;
  std::string_view reason;
  std::vector<Field> fields;
};

// Finds where a head ends, looking at each byte once however slowly they come.
class HeadScanner {
 public:
  enum class Found { more, complete, refused };
  // `bytes`: everything received of the message so far; at each call at least as much as at the last.
  Found scan(std::string_view bytes, const Limits& limits);
  // After `complete`: the head with its empty line, without an empty line before it.
  std::size_t begin() const { return begin_; }
  std::size_t end() const { return end_; }
  // After `refused`.
  const Refusal& refusal() const { return refusal_; }
  void reset() { *this = {}; }

 private:
  Found refuse(int status, const char* why);
  std::size_t begin_ = 0;
  std::size_t line_ = 0;  // where the current line begins
  std::size_t seen_ = 0;
  std::size_t end_ = 0;
  Refusal refusal_;
};

// `head`: exactly what a scanner marked.
Parsed<RequestHead> parse_request_head(std::string_view head, const Limits& limits);
// Refusals of a response mean 502 to the client, whatever their status.
Parsed<ResponseHead> parse_response_head(std::string_view head, const Limits& limits);
// The fields of a trailer section: lines, each with its CRLF, and nothing else.
Parsed<std::vector<Field>> parse_fields(std::string_view lines, const Limits& limits);

// The first field of that name (in lower case), or null.
const Field* find_field(const std::vector<Field>& fields, std::string_view lower_name);

}  // namespace foreshadow::kinds::http
