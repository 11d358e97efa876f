#include "kinds/http/wire/match.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "kinds/http/wire/text.hpp"

namespace foreshadow::kinds::http {
namespace {

// No target is longer (head.hpp's limit); one that were would not be certain.
constexpr std::size_t kPathBytesMax = 8 << 10;

// Commas separate methods and hosts, line feeds the values of a list in the configuration.
template <class F>
void for_each_value(std::string_view values, F&& each) {
  for (;;) {
    const auto end = values.find('\n');
    for_each_element(values.substr(0, end), each);
    if (end == std::string_view::npos) return;
    values.remove_prefix(end + 1);
  }
}

std::string in_lower(std::string_view text) {
  std::string made(text);
  std::ranges::transform(made, made.begin(), lower);
  return made;
}

// They end at the gateway, or it writes them itself: what the service sees of them is not what the client sent.
bool is_passed_on(std::string_view name) {
  constexpr std::array<std::string_view, 12> kOurs{
      "host",   "connection",     "keep-alive",        "upgrade", "proxy-connection", "te",
      "expect", "content-length", "transfer-encoding", "via",     "x-forwarded-for",  "foreshadow-mirror"};
  return std::ranges::find(kOurs, name) == kOurs.end();
}

bool holds_secret(std::string_view name) {
  constexpr std::array<std::string_view, 5> kEndings{"token", "secret", "password", "api-key", "authorization"};
  return name == "cookie" || std::ranges::any_of(kEndings, [&](auto ending) { return name.ends_with(ending); });
}

bool is_host_pattern(std::string_view name) {
  if (name.starts_with('[')) return name.ends_with(']') && name.size() > 2;
  return !name.empty() && name.size() <= 253 && name.front() != '.' && name.back() != '.' &&
         name.find("..") == std::string_view::npos && std::ranges::all_of(name, [](char c) {
           return is_digit(c) || (c >= 'a' && c <= 'z') || c == '-' || c == '_' || c == '.';
         });
}

std::string_view without_port(std::string_view host) {
  if (host.starts_with('[')) return host.substr(0, host.find(']') + 1);
  return host.substr(0, host.find(':'));
}

Match both(Match a, Match b) {
  if (a == Match::no || b == Match::no) return Match::no;
  return a == Match::unknown ? a : b;
}

}  // namespace

// The readings of one request's path, made when the first rule asks for them.
struct Matcher::Paths {
  std::string_view path;
  bool read = false;
  bool dots = false;
  ReadPath resolved;
  ReadPath kept;
  std::array<char, kPathBytesMax> resolved_bytes;
  std::array<char, kPathBytesMax> kept_bytes;

  // Left uninitialised: only what read_path wrote is looked at.
  explicit Paths(std::string_view target) : path(target.substr(0, target.find('?'))) {}

  Match match(const std::vector<PathTemplate>& wanted) {
    if (!read) {
      read = true;
      dots = may_have_dots(path);
      resolved = read_path(path, Dots::resolved, resolved_bytes);
      if (dots) kept = read_path(path, Dots::kept, kept_bytes);
    }
    auto best = Match::no;
    for (const auto& path : wanted) {
      const auto found = path.match(resolved);
      const bool parted = dots && path.match(kept) != found;
      if (found == Match::yes && !parted) return Match::yes;
      if (found == Match::unknown || parted) best = Match::unknown;
    }
    return best;
  }
};

std::vector<std::string> Matcher::names() { return {"method", "path", "host", "header"}; }

Result<void> Matcher::add(Rule& rule, const std::string& name, const std::string& value) {
  if (name == "method") {
    for_each_value(value, [&](std::string_view method) { rule.methods.emplace_back(method); });
    if (rule.methods.empty() || !std::ranges::all_of(rule.methods, is_token))
      return fail(Code::invalid, fmt::format("method '{}' is no list of methods; write it as \"GET,HEAD\"", value));
  } else if (name == "path") {
    for (std::string_view rest = value;;) {
      const auto line = rest.substr(0, rest.find('\n'));
      FS_TRY(path, PathTemplate::parse(line));
      rule.paths.push_back(std::move(path));
      if (line.size() == rest.size()) break;
      rest.remove_prefix(line.size() + 1);
    }
  } else if (name == "host") {
    for_each_value(value, [&](std::string_view host) {
      const bool below = host.starts_with("*.");
      rule.hosts.push_back({in_lower(below ? host.substr(2) : host), below});
    });
    if (rule.hosts.empty() || !std::ranges::all_of(rule.hosts, is_host_pattern, &Host::name))
      return fail(Code::invalid, fmt::format("host '{}' is no host name; write it without scheme and port, as in "
                                             "\"shop.example.com\" or \"*.example.com\"",
                                             value));
  } else if (name == "header") {
    for (std::string_view rest = value;;) {
      const auto line = rest.substr(0, rest.find('\n'));
      const auto colon = line.find(':');
      Header header{in_lower(trim(line.substr(0, colon))), std::nullopt};
      if (colon != std::string_view::npos) header.value = trim(line.substr(colon + 1));
      if (!is_token(header.name) || (header.value && header.value->empty()))
        return fail(Code::invalid, fmt::format("header '{}' is no header; write \"X-Tier: gold\" for one value, or "
                                               "\"X-Tier\" for any",
                                               line));
      if (!is_passed_on(header.name))
        return fail(Code::invalid, fmt::format("header {} is not passed on as it came; match by another{}", header.name,
                                               header.name == "host" ? ", or by host:" : ""));
      if (header.value && holds_secret(header.name))
        return fail(Code::invalid, fmt::format("header {}: secrets do not belong in this file; write the name alone, "
                                               "which matches any value",
                                               header.name));
      rule.headers.push_back(std::move(header));
      if (line.size() == rest.size()) break;
      rest.remove_prefix(line.size() + 1);
    }
  } else {
    return fail(Code::invalid, fmt::format("unknown condition '{}'; http knows method, path, host and header", name));
  }
  return {};
}

Result<void> Matcher::check(const std::string& name, const std::string& value) {
  Rule rule;
  return add(rule, name, value);
}

Result<Matcher> Matcher::make(const std::vector<std::map<std::string, std::string>>& conditions) {
  Matcher matcher;
  for (const auto& set : conditions) {
    auto& rule = matcher.rules_.emplace_back();
    for (const auto& [name, value] : set)
      if (auto added = add(rule, name, value); !added) return fail(added.error().code, "match: " + added.error().what);
  }
  return matcher;
}

Match Matcher::match_host(const std::vector<Host>& hosts, std::string_view host) {
  // Legal in a URI, and read by nobody alike.
  if (host.find('%') != std::string_view::npos) return Match::unknown;
  host = without_port(host);
  if (host.ends_with('.')) host.remove_suffix(1);
  const auto fits = [&](const Host& wanted) {
    if (!wanted.below) return equals_lower(host, wanted.name);
    if (host.size() <= wanted.name.size() + 1) return false;
    const auto start = host.size() - wanted.name.size();
    return host[start - 1] == '.' && equals_lower(host.substr(start), wanted.name);
  };
  return std::ranges::any_of(hosts, fits) ? Match::yes : Match::no;
}

Match Matcher::match_header(const Header& header, const RequestHead& head, const Connection& connection) {
  bool fits = false, other = false;
  for (const auto& field : head.fields) {
    if (!equals_lower(field.name, header.name)) continue;
    (!header.value || field.value == *header.value ? fits : other) = true;
  }
  if (!fits) return Match::no;
  // Of several, which one the service takes is its own business; and one that Connection lists never gets there.
  const auto is_it = [&](std::string_view name) { return equals_lower(name, header.name); };
  return other || std::ranges::any_of(connection.nominated, is_it) ? Match::unknown : Match::yes;
}

std::size_t Matcher::match(const RequestHead& head, const Connection& connection) const {
  Paths paths(head.target);
  for (std::size_t i = 0; i < rules_.size(); ++i) {
    const auto& rule = rules_[i];
    if (!rule.methods.empty() && std::ranges::find(rule.methods, head.method) == rule.methods.end()) continue;
    auto found = rule.hosts.empty() ? Match::yes : match_host(rule.hosts, head.host);
    if (found != Match::no && !rule.paths.empty()) found = both(found, paths.match(rule.paths));
    for (const auto& header : rule.headers)
      if (found != Match::no) found = both(found, match_header(header, head, connection));
    if (found == Match::yes) return i;
    if (found == Match::unknown) break;
  }
  return rules_.size();
}

}  // namespace foreshadow::kinds::http
