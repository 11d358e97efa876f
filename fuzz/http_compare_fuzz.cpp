// Two answers, with a NUL between them, each a head and a body. An answer compared with itself is equal if its head can
// be read; the order of the two does not matter; what is shown is short and safe to print.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "kinds/http/compare/compare.hpp"

using namespace foreshadow::kinds::http;

namespace {
AnswerCopy answer(std::string_view text) {
  constexpr std::size_t kKept = 2048;
  const auto end = std::min(text.find("\r\n\r\n"), text.size() > 4 ? text.size() - 4 : 0);
  AnswerCopy copy;
  copy.head = text.substr(0, end + 4);
  const auto body = text.size() > end + 4 ? text.substr(end + 4) : std::string_view{};
  copy.keep(body.substr(0, body.size() / 2), kKept);
  copy.keep(body.substr(body.size() / 2), kKept);
  return copy;
}
bool showable_text(std::string_view text) {
  return text.size() <= 80 + 3 && std::ranges::none_of(text, [](char c) { return (c >= 0 && c < 0x20) || c == 0x7f; });
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const CompareSettings settings;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto cut = std::min(text.find('\0'), text.size());
  const auto one = answer(text.substr(0, cut));
  const auto other = answer(cut < text.size() ? text.substr(cut + 1) : std::string_view{});

  const auto itself = compare(one, one, settings);
  if (!itself.differences.empty()) std::abort();
  const auto there = compare(one, other, settings), back = compare(other, one, settings);
  if (there.classes_differ != back.classes_differ || there.body != back.body) std::abort();
  if (there.differences.size() > settings.differences_max) std::abort();
  for (const auto& d : there.differences)
    if (!showable_text(d.one) || !showable_text(d.other)) std::abort();
  if (there.differences.size() < settings.differences_max && there.differences.size() != back.differences.size())
    std::abort();
  return 0;
}
