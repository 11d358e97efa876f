#include "proxy/conn/watchdog.hpp"

#include <algorithm>

#include "proxy/conn/coarse_clock.hpp"
#include "proxy/conn/ends.hpp"
#include "proxy/conn/spread.hpp"

namespace foreshadow::proxy {

Watch::Watch(std::shared_ptr<Watchdog> watchdog, std::function<void()> on_expiry)
    : watchdog_(std::move(watchdog)), on_expiry_(std::move(on_expiry)) {
  watchdog_->add(*this);
}

Watch::~Watch() { watchdog_->remove(*this); }

void Watch::arm(std::chrono::milliseconds timeout) {
  // Rather late than early.
  until_ = coarse_now() + kCoarse + timeout;
  expired_ = false;
}

void Watch::expire() {
  until_ = Steady::time_point::max();
  expired_ = true;
  on_expiry_();
}

Watchdog::Watchdog(boost::asio::any_io_executor executor) : timer_(executor), ends_(std::make_shared<Ends>(executor)) {}

void Watchdog::add(Watch& watch) {
  watch.next_ = first_;
  if (first_) first_->previous_ = &watch;
  first_ = &watch;
  if (!running_) run();
}

void Watchdog::remove(Watch& watch) {
  if (cursor_ == &watch) cursor_ = watch.next_;
  if (watch.previous_)
    watch.previous_->next_ = watch.next_;
  else
    first_ = watch.next_;
  if (watch.next_) watch.next_->previous_ = watch.previous_;
}

void Watchdog::run() {
  running_ = true;
  timer_.expires_after(tick);
  // Weak: at the end of everything a pending tick must not keep the watchdog.
  timer_.async_wait([weak = weak_from_this()](const boost::system::error_code& error) {
    const auto self = weak.lock();
    if (!self) return;
    self->running_ = false;
    if (error || !self->first_) return;
    const auto now = Watch::Steady::now();
    for (self->cursor_ = self->first_; self->cursor_;) {
      auto& watch = *self->cursor_;
      self->cursor_ = watch.next_;
      if (watch.until_ <= now || (self->stopping_ && watch.idle_ && !watch.expired_)) watch.expire();
    }
    if (self->first_) self->run();
  });
}

void Watchdog::stop() {
  stopping_ = true;
  for (cursor_ = first_; cursor_;) {
    auto& watch = *cursor_;
    cursor_ = watch.next_;
    if (watch.idle_ && !watch.expired_) watch.expire();
  }
}

void Watchdog::retire(std::chrono::milliseconds within) {
  retiring_ = true;
  std::size_t told = 0;
  for (const auto* watch = first_; watch; watch = watch->next_) told += watch->tells_;
  const auto now = Watch::Steady::now();
  std::size_t turn = 0;
  for (auto* watch = first_; watch; watch = watch->next_)
    if (watch->tells_ && !watch->expired_)
      watch->until_ = std::min(watch->until_, now + spread(turn++, told, within, 0));
}

}  // namespace foreshadow::proxy
