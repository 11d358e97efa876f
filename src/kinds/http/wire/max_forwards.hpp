// How far TRACE and OPTIONS may still go (RFC 9110, section 7.6.2). Other methods know nothing of it.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "kinds/http/wire/head.hpp"

namespace foreshadow::kinds::http {

// In lower case.
inline constexpr std::string_view kMaxForwards = "max-forwards";

// What the field says; a forwarded request carries it lowered by one. Nothing: no bound, or one that is not a number
// and so passes as it is. One that is too large for us is lowered.
std::optional<std::uint32_t> max_forwards(const RequestHead& head);

}  // namespace foreshadow::kinds::http
