// The body of an answer as its client gets it: the instance's, and where that was cut, the shadow's from there on. What
// of it is handed out is the same bytes as if nothing had happened. Without insurance it is a BodyReader and nothing
// else.
#pragma once

#include <optional>

#include "kinds/http/session/body.hpp"
#include "kinds/http/session/cover.hpp"

namespace foreshadow::kinds::http {

class InsuredBody {
 public:
  using State = BodyReader::State;
  // `cover`: null where what is cut stays so.
  InsuredBody(Conn& upstream, const Framing& framing, Cover* cover)
      : upstream_(upstream), body_(upstream, framing), cover_(cover) {}

  // As BodyReader has them. `timeout`: of the read, whichever side it is from.
  std::optional<State> ready();
  awaitable<State> next(Millis timeout) {
    upstream_.watch().arm(timeout);
    return cover_ ? next_insured(timeout) : body_.next();
  }
  std::string_view data() const { return cover_ ? data_ : body_.data(); }
  const std::string& trailers() const { return completed_ ? cover_->reader().trailers() : body_.trailers(); }
  // The end of it is not the instance's,
  bool completed() const { return completed_; }
  // which had not come in time.
  bool late() const { return late_; }

 private:
  awaitable<State> next_insured(Millis timeout);
  // What a reader said; of the shadow's, that it broke where it is not the answer that it said it was.
  State take(State state, std::string_view data);

  Conn& upstream_;
  BodyReader body_;
  Cover* cover_;
  std::string_view data_;
  bool completed_ = false;
  bool late_ = false;
};

}  // namespace foreshadow::kinds::http
