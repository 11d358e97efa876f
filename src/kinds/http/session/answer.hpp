// Reads the head of an upstream's answer.
#pragma once

#include <string>

#include "kinds/http/session/conn.hpp"
#include "kinds/http/wire/head.hpp"

namespace foreshadow::kinds::http {

struct Answer {
  enum class State {
    complete,
    gone,     // the connection ended before the first byte
    cut,      // it ended inside the head
    timeout,  // the connection's watch expired
    refused,  // not HTTP/1.x as we take it
  };
  State state = State::gone;
  std::string bytes;  // `head` points into them: do not move
  ResponseHead head;
  const char* why = "";
};

// What is there of a head, interim or final, into `answer`, which may be filled from before. False: there is more to
// come; `scanner` goes on where it was.
bool take_answer(Conn& upstream, HeadScanner& scanner, const Limits& limits, Answer& answer);
// The connection gave no more, before take_answer() was done.
void break_off(const Conn& upstream, Answer& answer);
// Reads one head to its end.
awaitable<void> read_answer(Conn& upstream, const Limits& limits, Answer& answer);

}  // namespace foreshadow::kinds::http
