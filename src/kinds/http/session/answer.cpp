#include "kinds/http/session/answer.hpp"

namespace foreshadow::kinds::http {

awaitable<void> read_answer(Conn& upstream, const Limits& limits, Answer& answer) {
  HeadScanner scanner;
  for (;;) {
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
        co_return;
      }
      case HeadScanner::Found::refused:
        answer.state = Answer::State::refused;
        answer.why = scanner.refusal().why;
        co_return;
      case HeadScanner::Found::more:
        break;
    }
    if (co_await upstream.fill()) {
      answer.state = upstream.timed_out()        ? Answer::State::timeout
                     : upstream.unread().empty() ? Answer::State::gone
                                                 : Answer::State::cut;
      co_return;
    }
  }
}

}  // namespace foreshadow::kinds::http
