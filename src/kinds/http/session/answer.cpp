#include "kinds/http/session/answer.hpp"

namespace foreshadow::kinds::http {

bool take_answer(Conn& upstream, HeadScanner& scanner, const Limits& limits, Answer& answer) {
  switch (scanner.scan(upstream.unread(), limits)) {
    case HeadScanner::Found::complete: {
      answer.bytes.assign(upstream.unread().substr(0, scanner.end()));
      upstream.consume(scanner.end());
      // The empty line that a server forgives its clients is not forgiven to a server.
      auto head = scanner.begin() == 0 ? parse_response_head(answer.bytes, limits)
                                       : tl::make_unexpected(Refusal{502, "empty line before the status line"});
      answer.state = head ? Answer::State::complete : Answer::State::refused;
      if (head)
        answer.head = std::move(*head);
      else
        answer.why = head.error().why;
      return true;
    }
    case HeadScanner::Found::refused:
      answer.state = Answer::State::refused;
      answer.why = scanner.refusal().why;
      return true;
    case HeadScanner::Found::more:
      break;
  }
  return false;
}

void break_off(const Conn& upstream, Answer& answer) {
  answer.state = upstream.timed_out()        ? Answer::State::timeout
                 : upstream.unread().empty() ? Answer::State::gone
                                             : Answer::State::cut;
}

awaitable<void> read_answer(Conn& upstream, const Limits& limits, Answer& answer) {
  HeadScanner scanner;
  while (!take_answer(upstream, scanner, limits, answer))
    if (co_await upstream.fill()) co_return break_off(upstream, answer);
}

}  // namespace foreshadow::kinds::http
