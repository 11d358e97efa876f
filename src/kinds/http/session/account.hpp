// What became of one request, noted while it is served, for those who are told of it afterwards (access_log.hpp). Plain
// stores; what costs more is only noted where somebody is told.
#pragma once

#include <cstdint>
#include <string>

#include "kinds/http/session/watchdog.hpp"
#include "proxy/gate.hpp"

namespace foreshadow::kinds::http {

struct Account {
  using Steady = Watch::Steady;
  int status = 0;        // 0: nothing was answered
  bool matched = false;  // it got so far that it has a segment,
  bool entered = false;  // and a side
  bool mirrored = false;
  bool retried = false;
  bool insured = false;  // the answer, or its end, is the shadow's
  bool refused = false;       // by the gate
  bool by_ourselves = false;  // the answer is the gateway's own
  proxy::Side side = proxy::Side::current;
  proxy::Failure failure = proxy::Failure::none;
  std::uint64_t bytes_in = 0;  // of bodies, without their framing
  std::uint64_t bytes_out = 0;
  Steady::duration waited{0};          // at the gate
  Steady::time_point first_byte_at{};  // the head of the instance's answer is here
  std::string instance;

  void enter(const InstanceId& to, proxy::Side at, bool copied) {
    entered = true;
    instance = to;
    side = at;
    mirrored = copied;
  }
  void answer_ourselves(int with, std::size_t body_bytes) {
    status = with;
    bytes_out = body_bytes;
    by_ourselves = true;
  }
};

}  // namespace foreshadow::kinds::http
