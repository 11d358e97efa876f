// One answer, kept so that it can be compared with another to the same request. Of a body longer than is kept, its
// length and a digest remain. Values only.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "kinds/http/compare/digest.hpp"

namespace foreshadow::kinds::http {

struct AnswerCopy {
  // A longer body is looked at no further.
  static constexpr std::uint64_t kLookMax = 1 << 20;

  std::string head;   // status line and fields, as they came; empty: there was no whole answer
  std::string body;   // without its framing
  bool whole = true;  // false: the body was longer than is kept; `body` is empty, and these tell of it:
  std::uint64_t length = 0;
  Digest digest;
  bool beyond = false;  // there was more than kLookMax: length and digest are of that much
  std::chrono::microseconds took{0};

  std::size_t bytes() const { return head.size() + body.size(); }
  // Takes more of the body, which is kept up to `max` bytes in all.
  void keep(std::string_view data, std::size_t max) {
    length += data.size();
    if (whole && length <= max) {
      body.append(data);
      return;
    }
    if (whole) digest.add(body);
    whole = false;
    body = std::string();
    if (length > kLookMax) {
      data.remove_suffix(static_cast<std::size_t>(length - kLookMax));
      length = kLookMax;
      beyond = true;
    }
    digest.add(data);
  }
};

}  // namespace foreshadow::kinds::http
