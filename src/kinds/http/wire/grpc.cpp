#include "kinds/http/wire/grpc.hpp"

#include "kinds/http/wire/text.hpp"

namespace foreshadow::kinds::http {

bool is_grpc(const RequestHead& head) {
  constexpr std::string_view kType = "application/grpc";
  const auto* type = find_field(head.fields, "content-type");
  if (!type || type->value.size() < kType.size() || !equals_lower(type->value.substr(0, kType.size()), kType))
    return false;
  const auto rest = type->value.substr(kType.size());
  return rest.empty() || rest[0] == '+' || rest[0] == ';' || rest[0] == ' ';
}

int grpc_status(int http_status, bool nothing_done) {
  constexpr int kUnknown = 2, kDeadlineExceeded = 4, kResourceExhausted = 8, kUnimplemented = 12, kInternal = 13,
                kUnavailable = 14;
  if (nothing_done) return kUnavailable;
  switch (http_status) {
    case 408:
    case 504:
      return kDeadlineExceeded;
    case 413:
    case 431:
      return kResourceExhausted;
    case 501:
      return kUnimplemented;
    default:
      return http_status < 500 ? kInternal : kUnknown;
  }
}

std::string grpc_message(std::string_view text) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string made;
  made.reserve(text.size());
  for (const char c : text) {
    const auto u = static_cast<unsigned char>(c);
    if (u >= 0x20 && u <= 0x7e && c != '%')
      made += c;
    else
      (made += '%').append({kHex[u >> 4], kHex[u & 15]});
  }
  return made;
}

}  // namespace foreshadow::kinds::http
