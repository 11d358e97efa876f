// The part of an exchange that has HTTP/2 on both of its sides. One coroutine moves what is here, either way, and
// sleeps until there is more; a direction that cannot go on does not keep the other.
#include <algorithm>

#include "kinds/http/h2/exchange.hpp"
#include "kinds/http/wire/grpc.hpp"

namespace foreshadow::kinds::http::h2 {

using h2client::Call;

namespace {

// A call of gRPC that has been going on for so long that nobody knows when it will end: a subscription.
class Subscription final : public Lasting {
 public:
  Subscription(boost::asio::steady_timer& wake, Millis lasts_after) : wake_(wake), from_(Steady::now() + lasts_after) {}
  bool overdue() const { return overdue_; }
  // Younger ones are waited for, as any request is.
  void leave(std::uint16_t, Millis within) override {
    if (Steady::now() >= from_) leave_by_ = std::min(leave_by_, Steady::now() + within);
  }
  bool leaving() const override { return leave_by_ != Steady::time_point::max(); }
  void look(Steady::time_point now, Millis) override {
    if (now < leave_by_) return;
    overdue_ = true;
    wake_.cancel();
  }

 private:
  boost::asio::steady_timer& wake_;
  const Steady::time_point from_;
  Steady::time_point leave_by_ = Steady::time_point::max();
  bool overdue_ = false;
};

}  // namespace

awaitable<Attempt> Exchange::attempt(const Instance& target, Call& call) {
  call.also_wake(changed_);
  sent_ = request_.body.size();
  lent_ = std::string();
  copy_.begin_body(request_.body);
  if (!request_.whole) consume_ahead();
  const auto tried =
      co_await try_over_h2(link_.core, request_, target, link_.client, call, *this, out_, answer_, answer_framing_);
  co_return stream_.closed() ? Attempt{End::client_gone, tried.bytes_sent} : tried;
}

std::optional<End> Exchange::push(Call& call, bool& hungry) {
  if (stream_.closed()) return End::client_gone;
  if (sent_whole_ || call.pending() > 0 || call.closed() || call.ended()) return std::nullopt;
  consumed(lent_.size());
  lent_.clear();
  lent_.swap(stream_.body);
  if (!lent_.empty()) {
    sent_ += lent_.size();
    account_.bytes_in = sent_;
    if (is_too_large(link_.core, sent_)) return End::too_large;
    copy_.keep_body(link_.core, lent_, sent_);
    call.offer(lent_);
  }
  if (stream_.ended()) {
    const auto trailers = stream_.trailers.trailer_text();
    if (!trailers) return End::client_bad;
    call.finish(*trailers);
    sent_whole_ = true;
  } else {
    hungry = lent_.empty();
  }
  return std::nullopt;
}

awaitable<std::optional<End>> Exchange::wait(Call&, bool hungry, Steady::time_point deadline) {
  const bool changed = co_await change_until(hungry ? patience() : deadline);
  if (stream_.closed()) co_return End::client_gone;
  if (changed) co_return std::nullopt;
  co_return hungry ? End::client_gone : End::timeout;
}

awaitable<bool> Exchange::invite() {
  link_.mux.interim(stream_, 100, {});
  link_.write_soon();
  co_return !stream_.closed();
}

Relayed Exchange::move_on(Call& call) {
  call.give_up();
  copy_.drop_answer();
  if (stream_.pending() == 0)
    // It was answered before, so that no client calls again by itself what may have been done.
    link_.mux.finish(stream_, "grpc-status: 14\r\ngrpc-message: the service moves; call again\r\n");
  else
    link_.mux.reset(stream_, ErrorCode::cancel);
  link_.write_soon();
  return {.whole = true};
}

awaitable<Relayed> Exchange::relay(Call& call, const proxy::Pass& pass) {
  auto& mux = link_.mux;
  const auto& head = answer_.head;
  const auto* told = head.status == 204 ? nullptr : find_field(head.fields, "content-length");
  // Without a body by its nature, whatever the instance sends.
  const bool bodyless = answer_framing_.kind == BodyKind::none;
  const bool whole = bodyless || (call.ended() && call.body().empty() && call.trailers().empty());
  answer_head(head, read_connection(head.fields), "2.0", told ? told->value : std::string_view{}, !whole, false);
  link_.write_soon();
  if (whole) {
    call.give_up();
    co_return Relayed{.whole = true};
  }
  const auto timeout = upstream_timeout();
  std::string lent;  // to the client,
  Steady::time_point take_by;
  std::optional<End> end;
  Subscription subscription(changed_, link_.core.options.grpc_lasts_after);
  std::optional<Tunnels::Entry> entry;
  if (is_grpc(request_.head)) entry.emplace(link_.core.tunnels, subscription, link_.gate, pass, request_.client.sticky);
  while (!end && !stream_.closed()) {
    if (subscription.overdue() && !call.ended()) co_return move_on(call);
    if (stream_.pending() == 0) {
      call.consume(lent.size());
      lent.clear();
      lent.swap(call.body());
      mux.offer(stream_, lent);
      copy_.keep_answer(lent);
      account_.bytes_out += lent.size();
      take_by = patience();
      if (call.ended()) {
        mux.finish(stream_, call.trailers());
        call.give_up();
        const bool all = mux.keep(stream_) || co_await taken();
        co_return Relayed{.whole = all};
      }
      if (call.closed() && lent.empty()) end = End::cut;
      link_.write_soon();
    }
    bool hungry = false;
    if (!end) end = push(call, hungry);
    if (end) break;
    if (stream_.pending() == 0)
      end = co_await wait(call, hungry, Steady::now() + timeout);
    else if (!co_await change_until(take_by) && stream_.pending() > 0)
      end = End::client_gone;
    if (end == End::timeout) call.mark_late();
  }
  call.give_up();
  if (stream_.closed()) co_return Relayed{};
  // What the client has is not the whole.
  const bool broken = end == End::cut || end == End::timeout;
  mux.reset(stream_, broken ? ErrorCode::internal_error : ErrorCode::cancel);
  link_.write_soon();
  co_return Relayed{.broken = broken};
}

}  // namespace foreshadow::kinds::http::h2
