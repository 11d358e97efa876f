#include "kinds/http/session/complaints.hpp"

#include "base/log.hpp"

namespace foreshadow::kinds::http {

namespace {
constexpr std::chrono::seconds kPause{10};
}

void Complaints::tell(std::string_view what) {
  const auto now = std::chrono::steady_clock::now();
  if (now < next_) {
    ++kept_back_;
    return;
  }
  next_ = now + kPause;
  if (kept_back_ == 0)
    log::warn("{}: {}", resource_, what);
  else
    log::warn("{}: {} ({} more of this kind since the last line)", resource_, what, kept_back_);
  kept_back_ = 0;
}

}  // namespace foreshadow::kinds::http
