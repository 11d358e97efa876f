#include "kinds/http/wire/head.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include "kinds/http/wire/text.hpp"

namespace foreshadow::kinds::http {
namespace {

tl::unexpected<Refusal> refuse(int status, const char* why) { return tl::make_unexpected(Refusal{status, why}); }

// Takes the next line off `text`, which ends every line with CRLF (a scanner saw to that, but not to CRs inside).
std::string_view take_line(std::string_view& text) {
  const auto end = text.find('\n');
  const auto line = text.substr(0, end - 1);
  text.remove_prefix(end + 1);
  return line;
}

Parsed<void> parse_field_lines(std::string_view text, const Limits& limits, std::vector<Field>& fields) {
  while (!text.empty()) {
    const auto line = take_line(text);
    if (line.empty()) {
      if (text.empty()) return {};
      return refuse(400, "bytes after the end of the head");
    }
    if (line.front() == ' ' || line.front() == '\t') return refuse(400, "folded header line");
    const auto name_end = std::find_if_not(line.begin(), line.end(), is_token_char);
    const auto colon = static_cast<std::size_t>(name_end - line.begin());
    if (colon == 0 || colon == line.size() || line[colon] != ':') return refuse(400, "malformed header name");
    const auto raw = line.substr(colon + 1);
    if (!are_value_chars(raw)) return refuse(400, "control character in a header value");
    if (fields.size() >= limits.fields_max) return refuse(431, "too many header fields");
    const Field field{line.substr(0, colon), trim(raw)};
    // Legal whitespace, but nobody sends it except to be read differently by two parsers.
    if (equals_lower(field.name, "transfer-encoding") && raw.find('\t') != std::string_view::npos)
      return refuse(400, "tab in Transfer-Encoding");
    fields.push_back(field);
  }
  return {};
}

// "HTTP/1.1" -> 1. Refuses other major versions with 505.
Parsed<int> parse_version(std::string_view text) {
  if (text.size() != 8 || text.substr(0, 5) != "HTTP/" || !is_digit(text[5]) || text[6] != '.' || !is_digit(text[7]))
    return refuse(400, "malformed HTTP version");
  if (text[5] != '1') return refuse(505, "only HTTP/1.x is spoken here");
  return text[7] == '0' ? 0 : 1;
}

bool is_hex(char c) { return is_digit(c) || (lower(c) >= 'a' && lower(c) <= 'f'); }

// RFC 3986, section 3.2.2: an address of IPv6 without its brackets, as far as characters tell.
bool is_ipv6(std::string_view text) {
  for (const char c : text)
    if (!is_hex(c) && c != ':' && c != '.') return false;
  return text.find(':') != std::string_view::npos;
}

// RFC 3986, section 2: unreserved and sub-delims.
constexpr auto kNameChars = [] {
  std::array<bool, 256> table{};
  for (const unsigned char c : std::string_view("-._~!$&'()*+,;=")) table[c] = true;
  for (unsigned char c = '0'; c <= '9'; ++c) table[c] = true;
  for (unsigned char c = 'a'; c <= 'z'; ++c) table[c] = true;
  for (unsigned char c = 'A'; c <= 'Z'; ++c) table[c] = true;
  return table;
}();

// RFC 3986, section 3.2.2: reg-name, which the dotted numbers of IPv4 are too.
bool is_registered_name(std::string_view text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '%') {
      if (text.size() - i < 3 || !is_hex(text[i + 1]) || !is_hex(text[i + 2])) return false;
    } else if (!kNameChars[static_cast<unsigned char>(c)]) {
      return false;
    }
  }
  return true;
}

// RFC 9110, section 7.2: uri-host [ ":" port ], so without userinfo. Empty is allowed: a URI without an authority.
bool is_host(std::string_view text) {
  if (text.empty()) return true;
  std::size_t end = 0;
  if (text.front() == '[') {
    end = text.find(']');
    if (end == std::string_view::npos || !is_ipv6(text.substr(1, end - 1))) return false;
    ++end;
  } else {
    end = std::min(text.find(':'), text.size());
    if (end == 0 || !is_registered_name(text.substr(0, end))) return false;
  }
  if (end == text.size()) return true;
  if (text[end] != ':') return false;
  for (const char c : text.substr(end + 1))
    if (!is_digit(c)) return false;
  return true;
}

// RFC 9112, section 3.2. Characters that RFC 3986 does not allow but that cannot be read in two ways ('|', '"') pass as
// they are.
Parsed<void> parse_target(RequestHead& head) {
  auto& target = head.target;
  for (const char c : target)
    if (c <= 0x20 || c >= 0x7f || c == '#') return refuse(400, "malformed request target");
  if (target.front() == '/') return {};
  if (head.method == "CONNECT") return refuse(501, "CONNECT is not offered");
  if (target == "*") {
    if (head.method == "OPTIONS") return {};
    return refuse(400, "'*' is a target for OPTIONS only");
  }
  const auto scheme_end = target.find("://");
  if (scheme_end == std::string_view::npos) return refuse(400, "malformed request target");
  const auto scheme = target.substr(0, scheme_end);
  if (!equals_lower(scheme, "http") && !equals_lower(scheme, "https"))
    return refuse(400, "unknown scheme in the target");
  const auto rest = target.substr(scheme_end + 3);
  const auto authority = rest.substr(0, rest.find_first_of("/?"));
  if (authority.empty() || !is_host(authority)) return refuse(400, "malformed authority in the target");
  head.host = authority;
  target = rest.substr(authority.size());
  if (!target.empty() && target.front() == '?') return refuse(400, "absolute target without a path");
  if (target.empty()) target = head.method == "OPTIONS" ? "*" : "/";
  return {};
}

Parsed<void> check_host(RequestHead& head) {
  const Field* host = nullptr;
  for (const auto& field : head.fields) {
    if (!equals_lower(field.name, "host")) continue;
    if (host) return refuse(400, "more than one Host");
    host = &field;
  }
  if (!host) {
    if (head.minor >= 1) return refuse(400, "no Host");
    return {};
  }
  if (!is_host(host->value)) return refuse(400, "malformed Host");
  if (!head.host.empty() && !equals_ignoring_case(head.host, host->value))
    return refuse(400, "Host and target name different hosts");
  head.host = host->value;
  return {};
}

}  // namespace

HeadScanner::Found HeadScanner::refuse(int status, const char* why) {
  refusal_ = {status, why};
  return Found::refused;
}

HeadScanner::Found HeadScanner::scan(std::string_view bytes, const Limits& limits) {
  while (seen_ < bytes.size()) {
    const void* found = std::memchr(bytes.data() + seen_, '\n', bytes.size() - seen_);
    if (!found) {
      seen_ = bytes.size();
      break;
    }
    const auto at = static_cast<std::size_t>(static_cast<const char*>(found) - bytes.data());
    if (at == line_ || bytes[at - 1] != '\r') return refuse(400, "line ends without CRLF");
    const bool empty = at - line_ == 1;
    const bool first = line_ == begin_;
    seen_ = line_ = at + 1;
    if (first && line_ - begin_ > limits.target_bytes_max + 64) return refuse(414, "request line too long");
    if (!empty) continue;
    if (!first) {
      end_ = at + 1;
      if (end_ - begin_ > limits.head_bytes_max) return refuse(431, "header section too large");
      return Found::complete;
    }
    // RFC 9112, section 2.2: one empty line before a request is forgiven (old clients send it after a body), no more.
    if (begin_ != 0) return refuse(400, "empty lines before the request");
    begin_ = line_;
  }
  const bool in_first_line = line_ == begin_;
  if (in_first_line && bytes.size() - begin_ > limits.target_bytes_max + 64)
    return refuse(414, "request line too long");
  if (bytes.size() - begin_ > limits.head_bytes_max) return refuse(431, "header section too large");
  return Found::more;
}

Parsed<RequestHead> parse_request_head(std::string_view text, const Limits& limits) {
  RequestHead head;
  const auto line = take_line(text);
  const auto first = line.find(' ');
  const auto last = line.rfind(' ');
  if (first == std::string_view::npos || first == last || first == 0 || last == first + 1)
    return refuse(400, "malformed request line");
  head.method = line.substr(0, first);
  head.target = line.substr(first + 1, last - first - 1);
  if (!is_token(head.method)) return refuse(400, "malformed method");
  auto minor = parse_version(line.substr(last + 1));
  if (!minor) return tl::make_unexpected(minor.error());
  head.minor = *minor;
  if (head.target.size() > limits.target_bytes_max) return refuse(414, "request target too long");
  head.fields.reserve(16);
  if (auto fields = parse_field_lines(text, limits, head.fields); !fields) return tl::make_unexpected(fields.error());
  if (auto target = parse_target(head); !target) return tl::make_unexpected(target.error());
  if (auto host = check_host(head); !host) return tl::make_unexpected(host.error());
  return head;
}

Parsed<ResponseHead> parse_response_head(std::string_view text, const Limits& limits) {
  ResponseHead head;
  const auto line = take_line(text);
  // "HTTP/1.1 200 OK"; the space before an empty reason is often left out.
  if (line.size() < 12 || line[8] != ' ' || !is_digit(line[9]) || !is_digit(line[10]) || !is_digit(line[11]) ||
      (line.size() > 12 && line[12] != ' '))
    return refuse(502, "malformed status line");
  auto minor = parse_version(line.substr(0, 8));
  if (!minor) return refuse(502, "malformed or unknown version in the status line");
  head.minor = *minor;
  head.status = (line[9] - '0') * 100 + (line[10] - '0') * 10 + (line[11] - '0');
  if (head.status < 100 || head.status > 599) return refuse(502, "status out of range");
  head.reason = line.size() > 13 ? line.substr(13) : std::string_view{};
  if (!are_value_chars(head.reason)) return refuse(502, "control character in the status line");
  head.fields.reserve(16);
  if (auto fields = parse_field_lines(text, limits, head.fields); !fields) return refuse(502, fields.error().why);
  return head;
}

Parsed<std::vector<Field>> parse_fields(std::string_view lines, const Limits& limits) {
  std::vector<Field> fields;
  if (auto parsed = parse_field_lines(lines, limits, fields); !parsed) return tl::make_unexpected(parsed.error());
  return fields;
}

const Field* find_field(const std::vector<Field>& fields, std::string_view lower_name) {
  for (const auto& field : fields)
    if (equals_lower(field.name, lower_name)) return &field;
  return nullptr;
}

}  // namespace foreshadow::kinds::http
