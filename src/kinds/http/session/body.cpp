#include "kinds/http/session/body.hpp"

#include <algorithm>
#include <boost/asio/error.hpp>

namespace foreshadow::kinds::http {

BodyReader::BodyReader(Conn& conn, const Framing& framing)
    : conn_(conn), framing_(framing), left_(framing.length), complete_(framing.empty()) {}

std::optional<BodyReader::State> BodyReader::ready() {
  conn_.consume(used_);
  used_ = 0;
  data_ = {};
  if (framing_.kind == BodyKind::length && left_ == 0) complete_ = true;
  while (!complete_) {
    const auto unread = conn_.unread();
    if (unread.empty()) return std::nullopt;
    if (framing_.kind == BodyKind::until_close) {
      data_ = unread;
      used_ = unread.size();
      return State::data;
    }
    if (framing_.kind == BodyKind::length) {
      used_ = static_cast<std::size_t>(std::min<std::uint64_t>(left_, unread.size()));
      left_ -= used_;
      data_ = unread.substr(0, used_);
      return State::data;
    }
    const auto step = chunks_.step(unread);
    switch (step.state) {
      case ChunkedDecoder::State::data:
        data_ = step.data;
        used_ = step.consumed;
        return State::data;
      case ChunkedDecoder::State::refused:
        return State::refused;
      case ChunkedDecoder::State::done:
        complete_ = true;
        [[fallthrough]];
      case ChunkedDecoder::State::more:
        conn_.consume(step.consumed);
    }
  }
  return State::done;
}

awaitable<BodyReader::State> BodyReader::next() {
  for (;;) {
    if (const auto state = ready()) co_return *state;
    if (const auto error = co_await conn_.fill()) {
      if (framing_.kind != BodyKind::until_close || error != boost::asio::error::eof) co_return State::broken;
      complete_ = true;
      co_return State::done;
    }
  }
}

}  // namespace foreshadow::kinds::http
