#include "kinds/http/session/tunnels.hpp"

#include <algorithm>

#include "proxy/conn/spread.hpp"
#include "proxy/sticky.hpp"

namespace foreshadow::kinds::http {
namespace {

using Steady = Tunnel::Steady;

// Looking at every tunnel for idleness and unseen resets; idle ones go late by at most this.
constexpr Millis kThoroughlyMax{1000};
// For a client that is asked to leave when nobody waits for it: as long as a slow network needs for an answer.
constexpr Millis kFarewell{2000};

bool is(const Instance& one, const Instance& other) { return one.id == other.id && one.endpoint == other.endpoint; }

}  // namespace

Tunnels::Entry::Entry(std::shared_ptr<Tunnels> tunnels, Lasting& tunnel, proxy::Gate& gate, const proxy::Pass& pass,
                      std::uint64_t sticky)
    : tunnels_(std::move(tunnels)),
      tunnel_(tunnel),
      gate_(gate),
      pass_(pass),
      sticky_(sticky),
      at_(tunnels_->entries_.insert(tunnels_->entries_.end(), this)) {
  // The table may have changed while the instance was being asked.
  mark_if_unmovable();
  if (tunnels_->retiring_ || (!tunnels_->settings_.stay_in_hold && is_stray())) tunnels_->give_turns({this});
  if (!tunnels_->running_) tunnels_->look_later();
}

// Would the client's next request go somewhere else for sure?
bool Tunnels::Entry::is_stray() const {
  const auto& table = gate_.table();
  const auto& segments = tunnels_->settings_.segments;
  double weight = 0;
  if (table.other && pass_.segment() < segments.size())
    for (const auto& route : table.routes)
      if (route.segment == segments[pass_.segment()]) weight = route.other_weight;
  if (is(pass_.target(), table.current))
    return weight > 0 && (sticky_ ? proxy::point_of(sticky_) < weight : weight >= 1);
  const bool on_other = table.other && is(pass_.target(), *table.other);
  return !on_other || weight <= 0 || (sticky_ && proxy::point_of(sticky_) >= weight);
}

void Tunnels::Entry::mark_if_unmovable() {
  if (!tunnels_->settings_.stay_in_hold) return;
  const auto& table = gate_.table();
  const auto& instance = pass_.target();
  const bool takes_part = is(instance, table.current) || (table.other && is(instance, *table.other));
  mark_ = takes_part ? proxy::UnmovableMark()
                     : gate_.unmovable("an upgraded connection to " + instance.id + ", which gets no new ones");
}

void Tunnels::retire() {
  retiring_ = true;
  give_turns({entries_.begin(), entries_.end()});
}

void Tunnels::stop() {
  stopping_ = true;
  look();
}

void Tunnels::give_turns(const std::vector<Entry*>& leaving) {
  const auto now = Steady::now();
  const auto n = static_cast<std::size_t>(
      std::ranges::count_if(leaving, [](const Entry* one) { return one->due_ == Steady::time_point::max(); }));
  std::size_t turn = 0;
  for (auto* entry : leaving)
    if (entry->due_ == Steady::time_point::max())
      entry->due_ = now + proxy::spread(turn++, n, settings_.move_within, random_.uniform());
  moving_ = true;
}

void Tunnels::look_later() {
  running_ = true;
  timer_.expires_after(tick);
  // Weak: at the end of everything a pending tick must not keep the tunnels.
  timer_.async_wait([weak = weak_from_this()](const boost::system::error_code& error) {
    const auto self = weak.lock();
    if (!self) return;
    self->running_ = false;
    if (error || self->entries_.empty()) return;
    self->look();
    self->look_later();
  });
}

void Tunnels::look_at_table() {
  const auto& table = entries_.front()->gate_.table();
  if (table.epoch == seen_epoch_ && table.version == seen_version_) return;
  seen_epoch_ = table.epoch;
  seen_version_ = table.version;
  std::vector<Entry*> strays;
  for (auto* entry : entries_) {
    entry->mark_if_unmovable();
    if (retiring_ || settings_.stay_in_hold) continue;
    if (entry->is_stray())
      strays.push_back(entry);
    else
      entry->due_ = Steady::time_point::max();
  }
  give_turns(strays);
}

void Tunnels::look() {
  if (entries_.empty()) return;
  look_at_table();
  const auto now = Steady::now();
  const bool parked = !settings_.stay_in_hold && entries_.front()->gate_.parks();
  const bool thoroughly = now >= thoroughly_at_;
  if (thoroughly) thoroughly_at_ = now + std::clamp(settings_.idle_timeout / 16, tick, kThoroughlyMax);
  if (!parked && !stopping_ && !moving_ && !thoroughly) return;
  moving_ = false;
  // Ending a tunnel takes effect in handlers of its own: the list stays as it is meanwhile.
  for (auto* entry : entries_) {
    auto& tunnel = entry->tunnel_;
    if (parked) tunnel.leave(kServiceRestart, settings_.close_within);
    if (stopping_) tunnel.leave(kGoingAway, kFarewell);
    if (now >= entry->due_) tunnel.leave(kServiceRestart, kFarewell);
    moving_ = moving_ || tunnel.leaving() || entry->due_ != Steady::time_point::max();
    if (thoroughly || tunnel.leaving()) tunnel.look(now, settings_.idle_timeout);
  }
}

}  // namespace foreshadow::kinds::http
