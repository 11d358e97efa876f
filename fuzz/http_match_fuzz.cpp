// Templates of paths (first line) against paths (the rest): any text is a template or is refused, and a verdict other
// than unknown is that of every reader there is.
#include <array>
#include <cstdint>
#include <cstdlib>

#include "../tests/kinds/http/readers.hpp"
#include "kinds/http/wire/path.hpp"

namespace {

using namespace foreshadow::kinds::http;

void require(bool condition) {
  if (!condition) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const auto line = input.find('\n');
  const auto text = input.substr(0, line);
  const auto made = PathTemplate::parse(text);
  if (!made) require(!made.error().what.empty());
  if (!made || line == std::string_view::npos) return 0;

  // What a session takes for a path.
  auto path = input.substr(line + 1);
  path = path.substr(0, path.find('?'));
  for (const char c : path)
    if (c <= 0x20 || c >= 0x7f || c == '#') return 0;
  if (!path.starts_with('/')) return 0;

  std::array<char, 8192> resolved_bytes, kept_bytes;
  const auto resolved = read_path(path, Dots::resolved, resolved_bytes);
  const auto kept = read_path(path, Dots::kept, kept_bytes);
  require(resolved.text.starts_with('/') && (resolved.certain || resolved.text.ends_with('/')));
  require(may_have_dots(path) || (resolved.text == kept.text && resolved.certain == kept.certain));
  const auto verdict = made->match(resolved);
  if (verdict == Match::unknown || made->match(kept) != verdict) return 0;

  auto wanted = text;
  const bool tail = wanted.ends_with("/**");
  if (tail) wanted.remove_suffix(3);
  std::vector<std::optional<std::string>> parts;
  while (!wanted.empty()) {
    const auto end = wanted.find('/', 1);
    const auto part = wanted.substr(1, end == std::string_view::npos ? end : end - 1);
    if (part.starts_with('{'))
      parts.emplace_back();
    else
      parts.emplace_back(testing::percent_decoded(part, true));
    wanted.remove_prefix(part.size() + 1);
  }
  for (int bits = 0; bits < testing::kHabitSets; ++bits)
    require(testing::fits(testing::read_as(path, testing::habits(bits)), parts, tail) == (verdict == Match::yes));
  return 0;
}
