#include "proxy/circuit.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace foreshadow::proxy {
namespace {
// Of what an open time is prolonged by, at most.
constexpr double kJitter = 0.25;
// How long a try may take before another is made: its result may never be heard.
constexpr Millis kTry{1000};
}  // namespace

CircuitState Circuit::state(Now now) const {
  return state_ == CircuitState::open && now >= until_ ? CircuitState::half_open : state_;
}

bool Circuit::admits(Now now) {
  if (state_ == CircuitState::closed) return true;
  if (now < until_) return false;
  state_ = CircuitState::half_open;
  until_ = now + kTry;
  return true;
}

bool Circuit::succeeded() {
  if (state_ == CircuitState::closed) {
    in_a_row_ = 0;
    ++window_all_;
    return false;
  }
  // Work that was there before it opened says nothing of now.
  if (state_ != CircuitState::half_open) return false;
  state_ = CircuitState::closed;
  closed_at_ = until_ - kTry;
  in_a_row_ = 0;
  window_all_ = window_failed_ = 0;
  return true;
}

bool Circuit::failed(Now now, double draw, const char* why) {
  if (state_ == CircuitState::open) return false;
  if (state_ == CircuitState::half_open) {
    open(now, draw, why_);
    return true;
  }
  if (window_failed_ == 0 || now - window_from_ >= settings_.interval) {
    window_from_ = now;
    window_all_ = window_failed_ = 0;
  }
  ++window_all_;
  ++window_failed_;
  if (++in_a_row_ >= settings_.consecutive && settings_.consecutive > 0) {
    open(now, draw, fmt::format("{} failures in a row, the last: {}", in_a_row_, why));
    return true;
  }
  if (settings_.share > 0 && window_all_ >= static_cast<std::uint64_t>(settings_.volume_min) &&
      static_cast<double>(window_failed_) >= settings_.share * static_cast<double>(window_all_)) {
    open(now, draw, fmt::format("{} of {} failed, the last: {}", window_failed_, window_all_, why));
    return true;
  }
  return false;
}

void Circuit::open(Now now, double draw, std::string why) {
  if (state_ == CircuitState::closed) times_ = std::max<std::int64_t>(0, times_ - (now - closed_at_) / settings_.open);
  ++times_;
  ++opened_;
  why_ = std::move(why);
  state_ = CircuitState::open;
  const auto most = std::max<std::int64_t>(1, settings_.open_max / settings_.open);
  const auto span = times_ <= most ? settings_.open * times_ : settings_.open_max;
  until_ = now + span + std::chrono::duration_cast<Now::duration>(span * (kJitter * draw));
  in_a_row_ = 0;
  window_all_ = window_failed_ = 0;
}

}  // namespace foreshadow::proxy
