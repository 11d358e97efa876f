#include "load/schedule.hpp"

#include <cmath>

namespace load {

Schedule::Schedule(double rate_per_s, Micros length, std::uint64_t seed)
    : random_(seed), rate_per_s_(rate_per_s), length_(length) {
  advance();
  next_.seq = 0;
}

void Schedule::advance() {
  due_s_ += -std::log1p(-random_.uniform()) / rate_per_s_;
  next_ = {next_.seq + 1, Micros{static_cast<std::int64_t>(due_s_ * 1e6)}, random_.next()};
}

}  // namespace load
