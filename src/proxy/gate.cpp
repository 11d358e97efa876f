#include "proxy/gate.hpp"

#include <utility>

namespace foreshadow::proxy {

Pass::Pass(Pass&& other) noexcept
    : gate_(std::exchange(other.gate_, nullptr)),
      target_(std::move(other.target_)),
      mirror_(std::move(other.mirror_)),
      lane_(other.lane_),
      side_(other.side_),
      work_(other.work_),
      segment_(other.segment_),
      epoch_(other.epoch_),
      finished_(other.finished_) {}

Pass& Pass::operator=(Pass&& other) noexcept {
  if (this == &other) return *this;
  if (gate_) gate_->leave(*this);
  gate_ = std::exchange(other.gate_, nullptr);
  target_ = std::move(other.target_);
  mirror_ = std::move(other.mirror_);
  lane_ = other.lane_;
  side_ = other.side_;
  work_ = other.work_;
  segment_ = other.segment_;
  epoch_ = other.epoch_;
  finished_ = other.finished_;
  return *this;
}

Pass::~Pass() {
  if (gate_) gate_->leave(*this);
}

void Pass::finish(Failure failure, Micros took) {
  if (!gate_ || finished_) return;
  finished_ = true;
  gate_->finished(*this, failure, took);
}

void Pass::give_back(Failure why) {
  if (!gate_ || finished_) return;
  finished_ = true;
  gate_->given_back(*this, why);
}

UnmovableMark::UnmovableMark(UnmovableMark&& other) noexcept
    : gate_(std::exchange(other.gate_, nullptr)), reason_(std::move(other.reason_)) {}

UnmovableMark& UnmovableMark::operator=(UnmovableMark&& other) noexcept {
  if (this == &other) return *this;
  if (gate_) gate_->leave(*this);
  gate_ = std::exchange(other.gate_, nullptr);
  reason_ = std::move(other.reason_);
  return *this;
}

UnmovableMark::~UnmovableMark() {
  if (gate_) gate_->leave(*this);
}

SessionMark::SessionMark(SessionMark&& other) noexcept : gate_(std::exchange(other.gate_, nullptr)) {}

SessionMark& SessionMark::operator=(SessionMark&& other) noexcept {
  if (this == &other) return *this;
  if (gate_) gate_->leave(*this);
  gate_ = std::exchange(other.gate_, nullptr);
  return *this;
}

SessionMark::~SessionMark() {
  if (gate_) gate_->leave(*this);
}

Pass Gate::make_pass(Leave leave) {
  Pass pass;
  pass.gate_ = this;
  pass.target_ = std::move(leave.target);
  pass.mirror_ = std::move(leave.mirror);
  pass.lane_ = leave.lane;
  pass.side_ = leave.side;
  pass.work_ = leave.work;
  pass.segment_ = leave.segment;
  pass.epoch_ = leave.epoch;
  return pass;
}

SessionMark Gate::make_session_mark() {
  SessionMark mark;
  mark.gate_ = this;
  return mark;
}

UnmovableMark Gate::make_unmovable_mark(std::string reason) {
  UnmovableMark mark;
  mark.gate_ = this;
  mark.reason_ = std::move(reason);
  return mark;
}

}  // namespace foreshadow::proxy
