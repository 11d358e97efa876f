#include "kinds/http/session/upload.hpp"

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/socket_base.hpp>
#include <variant>

#include "kinds/http/session/deadline.hpp"

namespace foreshadow::kinds::http {

namespace asio = boost::asio;
using h2client::Call;
using Steady = Watch::Steady;
using namespace asio::experimental::awaitable_operators;

void Session::Upload::begin() {
  done_ = request_.whole;
  total_ = request_.body.size();
  session_.copy_.begin_body(request_.body);
}

std::optional<End> Session::Upload::push(Call& call, bool& hungry) {
  while (!done_ && call.pending() == 0 && !call.closed() && !call.ended()) {
    const auto state = body_.ready();
    if (!state) {
      hungry = true;
      break;
    }
    if (state == BodyReader::State::refused) return End::client_bad;
    if (state == BodyReader::State::done) {
      done_ = true;
      call.finish(body_.trailers());
      break;
    }
    total_ += body_.data().size();
    session_.account_.bytes_in = total_;
    if (is_too_large(*session_.core_, total_)) return End::too_large;
    session_.copy_.keep_body(*session_.core_, body_.data(), total_);
    call.offer(body_.data());
  }
  return std::nullopt;
}

awaitable<std::optional<End>> Session::Upload::wait(Call& call, bool hungry, Steady::time_point deadline) {
  if (!hungry) {
    if (co_await call.change_until(deadline)) co_return std::nullopt;
    co_return End::timeout;
  }
  auto& client = session_.client_;
  client.watch().arm(session_.core_->settings.idle_timeout);
  const auto first = co_await (client.fill() || call.change_until(Steady::time_point::max()));
  if (first.index() == 0 && std::get<0>(first)) co_return End::client_gone;
  co_return std::nullopt;
}

awaitable<bool> Session::Upload::invite() {
  auto& client = session_.client_;
  client.watch().arm(session_.core_->settings.idle_timeout);
  co_return !(co_await client.write("HTTP/1.1 100 Continue\r\n\r\n")).error;
}

awaitable<std::optional<End>> Session::Upload::more(Call& call, Millis timeout) {
  while (call.body().empty() && !call.ended() && !call.closed()) {
    bool hungry = false;
    if (const auto end = push(call, hungry)) co_return end;
    if (const auto end = co_await wait(call, hungry, Steady::now() + timeout)) {
      if (end == End::timeout) call.mark_late();
      co_return end;
    }
  }
  // However fast the answer comes, what is sent moves too.
  bool ignored = false;
  co_return push(call, ignored);
}

awaitable<Attempt> Session::attempt_over_h2(Request& request, Upload& upload, const Instance& target, Call& call) {
  upload.begin();
  co_return co_await try_over_h2(*core_, request, target, arrival_, call, upload, out_, answer_, answer_framing_);
}

awaitable<Relayed> Session::relay_over_h2(const Request& request, Upload& upload, Call& call) {
  const auto timeout = upstream_timeout(request);
  const auto& head = answer_.head;
  Relayed relayed;
  const auto to_client =
      compose_head(request, head, answer_framing_, read_connection(head.fields), "2.0", relayed.keep);
  const bool chunked = to_client.kind == BodyKind::chunked;
  // Without a body by its nature, whatever the instance sends.
  const bool bodyless = to_client.kind == BodyKind::none;
  std::string data;
  for (bool first = true;; first = false) {
    data.clear();
    if (!bodyless) data.swap(call.body());
    const bool done = bodyless || call.ended();
    const bool cut = !done && call.closed() && data.empty();
    std::string tail;
    if (!data.empty() && chunked) {
      append_chunk_head(out_, data.size());
      tail = "\r\n";
    }
    if (done && chunked) tail += "0\r\n" + call.trailers() + "\r\n";
    if (!cut && (first || !data.empty() || !tail.empty())) {
      client_.watch().arm(left_of(request, core_->settings.idle_timeout));
      const auto written = co_await client_.write({asio::buffer(out_), asio::buffer(data), asio::buffer(tail)});
      if (written.error) break;
      account_.bytes_out += data.size();
      copy_.keep_answer(data);
      call.consume(data.size());
      out_.clear();
    }
    if (done) {
      relayed.whole = true;
      break;
    }
    const auto end = cut ? std::optional(End::cut) : co_await upload.more(call, timeout);
    if (!end) continue;
    // What the client has is not the whole: a reset says so, whatever framing it reads.
    error_code ignored;
    client_.socket().set_option(asio::socket_base::linger(true, 0), ignored);
    client_.socket().close(ignored);
    relayed.broken = end == End::cut || end == End::timeout;
    break;
  }
  // Nothing that it was lent may be touched by what the client sends now.
  call.give_up();
  relayed.keep = relayed.keep && relayed.whole;
  co_return relayed;
}

}  // namespace foreshadow::kinds::http
