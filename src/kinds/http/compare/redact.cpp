#include "kinds/http/compare/redact.hpp"

#include <algorithm>
#include <array>

#include "kinds/http/wire/text.hpp"

namespace foreshadow::kinds::http {
namespace {

// "Api-Key", "api_key" and "apiKey" are one name.
std::string plain(std::string_view name) {
  std::string made;
  for (const char c : name)
    if (is_digit(c) || (lower(c) >= 'a' && lower(c) <= 'z') || static_cast<unsigned char>(c) >= 0x80) made += lower(c);
  return made;
}

// The length of the UTF-8 character at the front; 0 if there is none.
std::size_t character(std::string_view text) {
  const auto first = static_cast<unsigned char>(text.front());
  const std::size_t length = first < 0x80                    ? 1
                             : first >= 0xc2 && first < 0xe0 ? 2
                             : first >= 0xe0 && first < 0xf0 ? 3
                             : first >= 0xf0 && first < 0xf5 ? 4
                                                             : 0;
  if (length == 0 || length > text.size()) return 0;
  for (std::size_t i = 1; i < length; ++i)
    if ((static_cast<unsigned char>(text[i]) & 0xc0) != 0x80) return 0;
  const auto second = length > 2 ? static_cast<unsigned char>(text[1]) : 0;
  // Overlong forms, surrogates, and what lies beyond Unicode.
  if ((first == 0xe0 && second < 0xa0) || (first == 0xed && second >= 0xa0) || (first == 0xf0 && second < 0x90) ||
      (first == 0xf4 && second >= 0x90))
    return 0;
  return length;
}

}  // namespace

Secrets::Secrets(const std::vector<std::string>& more) {
  constexpr std::array<std::string_view, 17> kUsual{
      "password",     "passwd",         "passphrase", "secret", "token",   "authorization",
      "authenticate", "authentication", "cookie",     "apikey", "session", "credential",
      "privatekey",   "accesskey",      "signature",  "jwt",    "otp"};
  for (const auto name : kUsual) names_.emplace_back(name);
  for (const auto& name : more)
    if (auto made = plain(name); !made.empty()) names_.push_back(std::move(made));
}

bool Secrets::named_by(std::string_view name) const {
  const auto made = plain(name);
  return std::ranges::any_of(names_, [&](const std::string& secret) { return made.find(secret) != std::string::npos; });
}

std::string without_values(std::string_view target) {
  const auto query = target.find('?');
  std::string made(target.substr(0, query));
  if (query == std::string_view::npos) return made;
  char before = '?';
  for (auto rest = target.substr(query + 1);;) {
    const auto end = rest.find('&');
    const auto parameter = rest.substr(0, end);
    const auto value = parameter.find('=');
    made += before;
    // What has no name may be a value itself.
    if (value != std::string_view::npos) made.append(parameter.substr(0, value)).append("=");
    if (!parameter.empty()) made += "..";
    if (end == std::string_view::npos) return made;
    rest.remove_prefix(end + 1);
    before = '&';
  }
}

std::string showable(std::string_view text, std::size_t max) {
  constexpr std::string_view kMore = "...";
  std::string made;
  while (!text.empty()) {
    const auto length = character(text);
    const bool shown = length > 1 || (length == 1 && text.front() >= 0x20 && text.front() != 0x7f);
    if (made.size() + std::max<std::size_t>(length, 1) > max) return made.append(kMore);
    if (shown)
      made.append(text.substr(0, length));
    else
      made += '?';
    text.remove_prefix(std::max<std::size_t>(length, 1));
  }
  return made;
}

}  // namespace foreshadow::kinds::http
