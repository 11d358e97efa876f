#include "kinds/http/wire/cookie.hpp"

#include "kinds/http/wire/text.hpp"

namespace foreshadow::kinds::http {

std::string_view find_cookie(const std::vector<Field>& fields, std::string_view name) {
  for (const auto& field : fields) {
    if (!equals_lower(field.name, "cookie")) continue;
    for (auto rest = field.value;;) {
      const auto end = rest.find(';');
      const auto pair = trim(rest.substr(0, end));
      if (pair.size() > name.size() && pair.starts_with(name) && pair[name.size()] == '=')
        return pair.substr(name.size() + 1);
      if (end == std::string_view::npos) break;
      rest.remove_prefix(end + 1);
    }
  }
  return {};
}

bool may_set_cookie(const ResponseHead& head) {
  bool speaks_for_storing = head.status == 301 || head.status == 308 || head.status == 410;
  bool forbids_sharing = false;
  if (head.status == 304) return false;
  for (const auto& field : head.fields) {
    if (equals_lower(field.name, "cache-control")) {
      speaks_for_storing = true;
      for_each_element(field.value, [&](std::string_view directive) {
        if (equals_lower(directive, "private") || equals_lower(directive, "no-store")) forbids_sharing = true;
      });
    } else if (equals_lower(field.name, "expires") || equals_lower(field.name, "etag") ||
               equals_lower(field.name, "last-modified") || equals_lower(field.name, "age")) {
      speaks_for_storing = true;
    }
  }
  return forbids_sharing || !speaks_for_storing;
}

}  // namespace foreshadow::kinds::http
