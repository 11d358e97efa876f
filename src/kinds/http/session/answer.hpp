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

// Reads one head, interim or final; an already filled `answer` may be given again.
awaitable<void> read_answer(Conn& upstream, const Limits& limits, Answer& answer);

}  // namespace foreshadow::kinds::http
