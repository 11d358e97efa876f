// Bodies with a Content-Encoding, decoded within a limit: a few bytes can stand for gigabytes. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace foreshadow::kinds::http {

// gzip (x-gzip), deflate (with the zlib header that RFC 9110 asks for, or without, as some send it), identity or none.
// Nothing: another coding, several, malformed or cut off, or more than `max` bytes.
std::optional<std::string> decode_content(std::string_view coding, std::string_view body, std::size_t max);

}  // namespace foreshadow::kinds::http
