// Cookies (RFC 6265), as far as stickiness needs them: reading one of a request, and whether an answer may carry a new
// one. Pure; views point into the message.
#pragma once

#include <string_view>

#include "kinds/http/wire/head.hpp"

namespace foreshadow::kinds::http {

// The value of the first cookie of that name, in any of the Cookie fields; empty if there is none. Names are
// case-sensitive.
std::string_view find_cookie(const std::vector<Field>& fields, std::string_view name);

// False where a cache shared by several clients might store the answer: it would give one client's cookie to all, or
// refuse to store what it stored before. So only with `private` or `no-store`, or where nothing speaks for storing:
// no Cache-Control, no Expires, no validator, and no status that is cached without them (RFC 9111, sections 3
// and 4.2.2; a 304 updates what is stored, so it never may).
bool may_set_cookie(const ResponseHead& head);

}  // namespace foreshadow::kinds::http
