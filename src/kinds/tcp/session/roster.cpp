#include "kinds/tcp/session/roster.hpp"

#include <algorithm>

namespace foreshadow::kinds::tcp {
namespace {

// Looking at every connection for idleness and unseen resets; idle ones go late by at most this.
constexpr Millis kThoroughlyMax{1000};

bool gets_new_work(const RouteTable& table, const Instance& instance) {
  const auto is = [&](const Instance& one) { return one.id == instance.id && one.endpoint == instance.endpoint; };
  if (is(table.current)) return true;
  return table.other && is(*table.other) &&
         std::ranges::any_of(table.routes, [](const SegmentRoute& route) { return route.other_weight > 0; });
}

}  // namespace

Roster::Entry::Entry(std::shared_ptr<Roster> roster, Tunnel& tunnel, proxy::Gate& gate)
    : roster_(std::move(roster)),
      tunnel_(tunnel),
      gate_(gate),
      at_(roster_->entries_.insert(roster_->entries_.end(), this)) {
  // The table may have changed while the instance was being reached.
  find_out_if_stray();
  roster_->strays_ |= stray_;
  if (!roster_->running_) roster_->look_later();
}

void Roster::Entry::find_out_if_stray() {
  const bool was = stray_;
  const auto& instance = tunnel_.pass().target();
  stray_ = !gets_new_work(gate_.table(), instance);
  if (stray_ == was) return;
  mark_ = stray_ ? gate_.unmovable("connected to " + instance.id + ", which gets no new connections")
                 : proxy::UnmovableMark();
}

void Roster::stop() {
  stopping_ = true;
  look();
}

void Roster::look_later() {
  running_ = true;
  timer_.expires_after(tick);
  // Weak: at the end of everything a pending tick must not keep the roster.
  timer_.async_wait([weak = weak_from_this()](const boost::system::error_code& error) {
    const auto self = weak.lock();
    if (!self) return;
    self->running_ = false;
    if (error || self->entries_.empty()) return;
    self->look();
    self->look_later();
  });
}

void Roster::look() {
  if (entries_.empty()) return;
  const auto& gate = entries_.front()->gate_;
  const auto& table = gate.table();
  if (table.epoch != seen_epoch_ || table.version != seen_version_) {
    seen_epoch_ = table.epoch;
    seen_version_ = table.version;
    strays_ = false;
    for (auto* entry : entries_) {
      entry->find_out_if_stray();
      strays_ |= entry->stray_;
    }
  }
  const auto now = Tunnel::Steady::now();
  const bool may_close = settings_.on_hold != OnHold::wait;
  const bool closing = stopping_ || (may_close && gate.parks());
  const bool thoroughly = now >= thoroughly_at_;
  if (thoroughly) thoroughly_at_ = now + std::clamp(settings_.idle_timeout / 16, tick, kThoroughlyMax);
  if (!closing && !thoroughly && !(may_close && strays_)) return;
  // Ending a connection takes effect in handlers of its own: the list stays as it is meanwhile.
  for (auto* entry : entries_) look_at(*entry, now, closing || (may_close && entry->stray_), thoroughly);
}

void Roster::look_at(Entry& entry, Tunnel::Steady::time_point now, bool closing, bool thoroughly) {
  auto& tunnel = entry.tunnel_;
  const auto silent_for = now - tunnel.moved_at();
  if (thoroughly) {
    if (silent_for >= settings_.idle_timeout) return tunnel.end(Tunnel::End::idle);
    tunnel.look_for_resets();
  }
  if (closing && silent_for >= settings_.quiet_after && tunnel.at_rest(settings_.on_hold == OnHold::close_silent))
    tunnel.end(Tunnel::End::at_rest);
}

}  // namespace foreshadow::kinds::tcp
