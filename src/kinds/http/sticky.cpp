#include "kinds/http/sticky.hpp"

#include <algorithm>
#include <utility>

#include "kinds/http/wire/text.hpp"
#include "proxy/sticky.hpp"

namespace foreshadow::kinds::http {

Result<Sticky> parse_sticky(std::string_view text) {
  using By = Sticky::By;
  constexpr std::pair<std::string_view, By> kWords[] = {
      {"connection", By::connection}, {"request", By::request}, {"address", By::address}, {"cookie", By::own_cookie}};
  for (const auto& [word, by] : kWords)
    if (text == word) return Sticky{by, {}};
  constexpr std::pair<std::string_view, By> kNamed[] = {{"cookie:", By::cookie}, {"header:", By::header}};
  for (const auto& [prefix, by] : kNamed) {
    if (!text.starts_with(prefix)) continue;
    Sticky sticky{by, std::string(text.substr(prefix.size()))};
    if (!is_token(sticky.name))
      return fail(Code::invalid, "names nothing; write it as in cookie:session or header:X-User");
    if (by == By::header) std::ranges::transform(sticky.name, sticky.name.begin(), lower);
    if (by == By::cookie && sticky.name == kOwnCookie) return Sticky{By::own_cookie, {}};
    return sticky;
  }
  return fail(Code::invalid, "must be connection, request, address, cookie, cookie:NAME or header:NAME");
}

std::uint64_t hash_of(std::string_view value) {
  // FNV-1a; its low avalanche is mended by the gate's own mixing, and here for short values that differ in one byte.
  std::uint64_t hash = 0xcbf29ce484222325ULL;
  for (const char c : value) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  return proxy::mix(hash) | 1;
}

}  // namespace foreshadow::kinds::http
