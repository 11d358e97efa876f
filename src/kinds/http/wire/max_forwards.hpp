// How far TRACE and OPTIONS may still go (RFC 9110, section 7.6.2). Other methods know nothing of it.
#pragma once

#include <cstdint>
#include <optional>

#include "kinds/http/wire/head.hpp"

namespace foreshadow::kinds::http {

// Nothing: no bound, or one that is not a number and so passes as it is. One that is too large for us is lowered.
std::optional<std::uint32_t> max_forwards(const RequestHead& head);

// Is `field` the one that a forwarded request carries lowered by one?
bool is_max_forwards(const RequestHead& head, const Field& field);

}  // namespace foreshadow::kinds::http
