// A copy's way to a shadow that speaks HTTP/2.
#include "kinds/http/session/mirror.hpp"
#include "kinds/http/wire/framing.hpp"

namespace foreshadow::kinds::http {

using h2client::Call;

awaitable<Mirror::Sent> Mirror::exchange(Call& call, const MirrorJob& job, Reply& reply, Millis within) {
  const auto deadline = Watch::Steady::now() + within;
  const auto head_bytes = job.bytes.find("\r\n\r\n") + 4;
  const auto body = std::string_view(job.bytes).substr(head_bytes);
  call.begin(std::string_view(job.bytes).substr(0, head_bytes), !body.empty());
  call.offer(body);
  call.finish({});
  const auto late = [&] { return call.mark_late(), call.give_up(), Sent::failed; };
  while (!call.answered() && !call.closed()) {
    if (!co_await call.change_until(deadline)) co_return late();
    call.take_interims();
  }
  if (!call.answered()) {
    const bool on_purpose = call.spoilt() || (call.reset_by_peer() && !call.refused());
    co_return on_purpose ? Sent::failed : Sent::stale;
  }
  const auto head = parse_response_head(call.head(), {});
  if (!head) co_return Sent::failed;
  reply.status = head->status;
  const bool compared = comparer_ && !job.primary.head.empty();
  if (compared) reply.copy.head = call.head();
  std::size_t seen = 0;
  for (;;) {
    const auto data = std::exchange(call.body(), {});
    seen += data.size();
    if (compared) reply.copy.keep(data, room_->body_max);
    // No more than this is ever compared: the rest is not worth the primary's processor time.
    if (call.ended() || seen > settings_.answer_bytes_max) co_return Sent::done;
    if (call.closed()) co_return Sent::failed;
    call.consume(data.size());
    if (call.body().empty() && !call.ended() && !co_await call.change_until(deadline)) co_return late();
  }
}

}  // namespace foreshadow::kinds::http
