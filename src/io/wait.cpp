#include "io/wait.hpp"

#include <sys/eventfd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdint>
#include <system_error>

#include "base/assert.hpp"

namespace foreshadow::io {
namespace {
// Longer waits are cut to this, so that adding one to the clock cannot overflow.
constexpr Millis kWaitMax = std::chrono::hours{24 * 365};
}  // namespace

Deadline::Deadline(Millis from_now) : at_(Clock::now() + std::clamp(from_now, Millis{0}, kWaitMax)) {}

Millis Deadline::left() const { return std::max(Millis{0}, std::chrono::ceil<Millis>(at_ - Clock::now())); }

StopEvent::StopEvent(std::stop_token stop) : event_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)), stop_(std::move(stop)) {
  // Without a descriptor left we could not be stopped; better to fail loudly than to act unstoppably.
  FS_ASSERT(event_);
  callback_.emplace(stop_, [fd = event_.get()] {
    const std::uint64_t one = 1;
    // A full counter cannot happen with one writer; any other failure leaves the token itself, which is read too.
    [[maybe_unused]] const auto written = ::write(fd, &one, sizeof one);
  });
}

Result<bool> poll_until(std::span<pollfd> fds, const Deadline& deadline) {
  for (;;) {
    const auto left = std::min<Millis::rep>(deadline.left().count(), INT_MAX);
    const int ready = ::poll(fds.data(), fds.size(), static_cast<int>(left));
    if (ready > 0) return true;
    if (ready == 0 && deadline.passed()) return false;
    if (ready < 0 && errno != EINTR) return fail(Code::io, errno_text("poll"));
  }
}

Result<void> await(int fd, short events, const Deadline& deadline, const StopEvent& stop, const std::string& what) {
  pollfd fds[2] = {{fd, events, 0}, {stop.fd(), POLLIN, 0}};
  FS_TRY(ready, poll_until(fds, deadline));
  if (stop.stopped()) return fail(Code::cancelled, what + ": told to stop");
  if (!ready) return fail(Code::timeout, what + ": timed out");
  return {};
}

std::string errno_text(const std::string& what, int error) {
  return what + ": " + std::generic_category().message(error);
}
std::string errno_text(const std::string& what) { return errno_text(what, errno); }

}  // namespace foreshadow::io
