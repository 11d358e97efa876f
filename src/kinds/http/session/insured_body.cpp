#include "kinds/http/session/insured_body.hpp"

namespace foreshadow::kinds::http {

std::optional<InsuredBody::State> InsuredBody::ready() {
  if (!cover_) return body_.ready();
  auto& reader = completed_ ? cover_->reader() : body_;
  const auto state = reader.ready();
  return state ? take(*state, reader.data()) : state;
}

InsuredBody::State InsuredBody::take(State state, std::string_view data) {
  auto& cut = cover_->cut();
  const auto after = cut.passed_bytes() + data.size();
  // Whatever the shadow's framing says, it is the instance's length that the client was told.
  const bool fits = !cut.length() || (state == State::done ? after == *cut.length() : after <= *cut.length());
  if (completed_ && (!fits || state == State::refused)) state = State::broken;
  data_ = state == State::data ? data : std::string_view{};
  cut.passed(data_);
  return state;
}

awaitable<InsuredBody::State> InsuredBody::next_insured(Millis timeout) {
  if (!completed_) {
    const auto state = take(co_await body_.next(), body_.data());
    if (state != State::broken) co_return state;
    const bool late = upstream_.timed_out();
    if (!co_await cover_->complete()) co_return state;
    completed_ = true;
    late_ = late;
    if (const auto rest = cover_->rest(); !rest.empty()) co_return take(State::data, rest);
  }
  cover_->conn().watch().arm(timeout);
  const auto state = co_await cover_->reader().next();
  co_return take(state, cover_->reader().data());
}

}  // namespace foreshadow::kinds::http
