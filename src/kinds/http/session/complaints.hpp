// What others do wrong, told to the log at the rate of a person's reading: a thousand bad handshakes are one line.
// On one thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace foreshadow::kinds::http {

class Complaints {
 public:
  // `resource` begins every line.
  explicit Complaints(std::string resource) : resource_(std::move(resource)) {}
  // At most one line every ten seconds; the next one says how many were kept back.
  void tell(std::string_view what);

 private:
  std::string resource_;
  std::chrono::steady_clock::time_point next_{};
  std::uint64_t kept_back_ = 0;
};

}  // namespace foreshadow::kinds::http
