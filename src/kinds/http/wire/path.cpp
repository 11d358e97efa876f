#include "kinds/http/wire/path.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "kinds/http/wire/text.hpp"

namespace foreshadow::kinds::http {
namespace {

constexpr std::size_t kTemplateBytesMax = 1024;

int hex_digit(char c) {
  if (is_digit(c)) return c - '0';
  const char l = lower(c);
  return l >= 'a' && l <= 'f' ? l - 'a' + 10 : -1;
}

struct Step {
  char byte = 0;
  std::size_t used = 1;
  bool disputed = false;  // servers read it differently
};

// The character at the front of `text`, which is not empty.
Step decode(std::string_view text) {
  const char c = text.front();
  if (c != '%') return {c, 1, c == ';' || c == '\\'};
  const int high = text.size() > 2 ? hex_digit(text[1]) : -1;
  const int low = text.size() > 2 ? hex_digit(text[2]) : -1;
  if (high < 0 || low < 0) return {.disputed = true};
  const auto byte = static_cast<unsigned char>(high * 16 + low);
  // 0xc0, 0xc1 and those from 0xf5 are in no UTF-8; old decoders made dots and slashes of them.
  const bool disputed = byte < 0x20 || byte == 0x7f || byte == 0xc0 || byte == 0xc1 || byte >= 0xf5 ||
                        std::string_view("/\\;%?#").find(static_cast<char>(byte)) != std::string_view::npos;
  return {static_cast<char>(byte), 3, disputed};
}

// Nothing that has to be decoded, resolved or doubted: nearly every path.
bool is_plain(std::string_view path) {
  char before = 0;
  for (const char c : path) {
    if (c == '%' || c == ';' || c == '\\' || (before == '/' && (c == '/' || c == '.'))) return false;
    before = c;
  }
  return true;
}

// Behind a place where readers part, may one of them find a ".." that takes back what was certain before it?
bool hides_dots(std::string_view rest) {
  for (std::size_t i = 0; i + 1 < rest.size(); ++i) {
    if (rest[i] == '.' && rest[i + 1] == '.') return true;
    if (rest[i] != '%') continue;
    const auto escape = rest.substr(i + 1, 3);
    // An encoded dot; an escape that is itself encoded; an overlong encoding; IIS's %u002e.
    if (equals_lower(escape.substr(0, 2), "2e") || escape == "252" || equals_lower(escape.substr(0, 2), "c0") ||
        lower(escape.front()) == 'u')
      return true;
  }
  return false;
}

}  // namespace

bool may_have_dots(std::string_view path) {
  for (std::size_t slash = path.find('/'); slash != std::string_view::npos; slash = path.find('/', slash + 1)) {
    const auto rest = path.substr(slash + 1);
    if (rest.starts_with('.') || (rest.size() >= 3 && equals_lower(rest.substr(0, 3), "%2e"))) return true;
  }
  return false;
}

ReadPath read_path(std::string_view path, Dots dots, std::span<char> buffer) {
  if (!path.starts_with('/') || is_plain(path)) return {path, true};
  // Every reading begins with a slash.
  constexpr ReadPath kNothing{"/", false};
  if (path.size() > buffer.size()) return kNothing;
  std::size_t out = 0;
  for (std::size_t at = 0;;) {  // path[at] is the slash before a segment
    const auto begin = out;
    buffer[out++] = '/';
    const auto until_here = [&] {
      return hides_dots(path.substr(at)) ? kNothing : ReadPath{{buffer.data(), begin + 1}, false};
    };
    auto next = at + 1;
    while (next < path.size() && path[next] != '/') {
      const auto step = decode(path.substr(next));
      if (step.disputed) return until_here();
      buffer[out++] = step.byte;
      next += step.used;
    }
    const std::string_view segment(buffer.data() + begin + 1, out - begin - 1);
    const bool last = next == path.size();
    if (segment.empty() && !last) return until_here();
    if (dots == Dots::resolved && (segment == "." || segment == "..")) {
      const bool up = segment.size() == 2;
      out = begin;
      if (up && out > 0) out = std::string_view(buffer.data(), out).rfind('/');
      if (last) buffer[out++] = '/';
    }
    if (last) return {{buffer.data(), out}, true};
    at = next;
  }
}

Result<PathTemplate> PathTemplate::parse(std::string_view text) {
  const auto refuse = [&](const char* why) -> Result<PathTemplate> {
    const auto end = std::min<std::size_t>(text.size(), 60);
    std::string shown(text.substr(0, end));
    std::ranges::replace_if(shown, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, '?');
    return fail(Code::invalid, fmt::format("path '{}{}' {}", shown, end < text.size() ? "..." : "", why));
  };
  if (!text.starts_with('/')) return refuse("does not start with '/'; write it from the root");
  if (text.size() > kTemplateBytesMax) return refuse("is longer than 1024 bytes; shorten it with {name} or /**");
  PathTemplate made;
  auto rest = text;
  if (rest.ends_with("/**")) {
    made.tail_ = true;
    rest.remove_suffix(3);
  }
  std::vector<std::string_view> names;
  while (!rest.empty()) {
    rest.remove_prefix(1);
    const auto segment = rest.substr(0, rest.find('/'));
    rest.remove_prefix(segment.size());
    if (segment.empty() && (!rest.empty() || made.tail_))
      return refuse("has a doubled '/', which services read differently; write one");
    if (segment.find('*') != std::string_view::npos)
      return refuse("has '*' in it; write {name} for one segment, or end it in \"/**\" for all below");
    if (segment.find_first_of("{}") != std::string_view::npos) {
      const auto name = segment.size() > 2 ? segment.substr(1, segment.size() - 2) : std::string_view{};
      const bool word = std::ranges::all_of(
          name, [](char c) { return is_digit(c) || c == '_' || c == '-' || (lower(c) >= 'a' && lower(c) <= 'z'); });
      if (segment.front() != '{' || segment.back() != '}' || name.empty() || !word)
        return refuse("has braces that are no {name} between two slashes; write one name for one whole segment");
      if (std::ranges::find(names, name) != names.end()) return refuse("has a {name} twice; give each its own");
      names.push_back(name);
      made.parts_.push_back({.any = true, .text = {}});
      continue;
    }
    auto& part = made.parts_.emplace_back();
    for (auto left = segment; !left.empty();) {
      const auto step = decode(left);
      if (left.front() == '?' || left.front() == '#') return refuse("has a query; match the path alone");
      if (step.disputed || static_cast<unsigned char>(step.byte) < 0x20 || step.byte == 0x7f)
        return refuse(
            "has a character that services read differently (';', '\\', an encoded '/' or '%', a control "
            "character), so no request would match; match the path before it with /**");
      part.text += step.byte;
      left.remove_prefix(step.used);
    }
    if (part.text == "." || part.text == "..") return refuse("has a dot segment; write the path without it");
  }
  return made;
}

Match PathTemplate::match(const ReadPath& path) const {
  auto rest = path.text;
  if (!rest.starts_with('/')) return Match::no;
  for (const auto& part : parts_) {
    if (rest.empty()) return Match::no;
    rest.remove_prefix(1);
    const auto end = rest.find('/');
    if (!path.certain && end == std::string_view::npos) return Match::unknown;
    const auto segment = rest.substr(0, end);
    if (part.any ? segment.empty() : segment != part.text) return Match::no;
    rest.remove_prefix(segment.size());
  }
  if (tail_ || rest.empty()) return Match::yes;
  return !path.certain && rest == "/" ? Match::unknown : Match::no;
}

}  // namespace foreshadow::kinds::http
