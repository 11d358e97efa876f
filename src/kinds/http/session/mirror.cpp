#include "kinds/http/session/mirror.hpp"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include "kinds/http/session/answer.hpp"
#include "kinds/http/session/body.hpp"
#include "kinds/http/wire/framing.hpp"
#include "kinds/http/wire/rewrite.hpp"

namespace foreshadow::kinds::http {

namespace asio = boost::asio;
using Steady = Watch::Steady;

Mirror::Mirror(asio::any_io_executor executor, std::shared_ptr<Watchdog> watchdog, MirrorSettings settings,
               Pool::Tls tls)
    : executor_(executor),
      settings_(settings),
      pool_(std::make_shared<Pool>(executor, std::move(watchdog), settings.at_once_max, std::move(tls))) {}

bool Mirror::has_room(std::size_t bytes) const {
  return queue_.size() < settings_.queued_max && queued_bytes_ + bytes <= settings_.queued_bytes_max;
}

bool Mirror::offer(MirrorJob job) {
  if (!has_room(job.bytes.size())) {
    job.gate->mirrored(job.segment, {.dropped = true});
    return false;
  }
  queued_bytes_ += job.bytes.size();
  queue_.push_back(std::move(job));
  if (working_ < settings_.at_once_max) {
    ++working_;
    asio::co_spawn(executor_, work(shared_from_this()), asio::detached);
  }
  return true;
}

awaitable<void> Mirror::work(std::shared_ptr<Mirror> self) {
  while (!self->queue_.empty()) {
    const auto job = std::move(self->queue_.front());
    self->queue_.pop_front();
    const auto result = co_await self->send(job);
    self->queued_bytes_ -= job.bytes.size();
    job.gate->mirrored(job.segment, result);
  }
  --self->working_;
}

awaitable<proxy::MirrorResult> Mirror::send(const MirrorJob& job) {
  const auto started = Steady::now();
  const auto left = [&] {
    return std::max(Millis{0}, settings_.deadline - std::chrono::duration_cast<Millis>(Steady::now() - started));
  };
  proxy::MirrorResult result;
  int status = 0;
  auto sent = Sent::stale;
  // A kept connection may turn out dead; a copy may safely be sent twice, so once more over a fresh one.
  for (const Millis idle_age_max : {Millis{10'000}, Millis{0}}) {
    auto got = co_await pool_->get(*job.to, left(), idle_age_max);
    if (!got) {
      sent = Sent::failed;
      break;
    }
    got->conn->watch().arm(left());
    bool reusable = false;
    sent = co_await exchange(*got->conn, job, status, reusable);
    if (reusable) pool_->put(*job.to, std::move(got->conn));
    if (sent != Sent::stale || !got->reused) break;
  }
  result.took = std::chrono::duration_cast<proxy::Micros>(Steady::now() - started);
  const bool answered = sent == Sent::done;
  result.error = !answered || status >= 500;
  // A primary that fails itself is no measure of its shadow.
  result.mismatched =
      answered && job.primary_status != 0 && job.primary_status < 500 && status / 100 != job.primary_status / 100;
  co_return result;
}

awaitable<Mirror::Sent> Mirror::exchange(Conn& conn, const MirrorJob& job, int& status, bool& reusable) {
  if (const auto written = co_await conn.write(job.bytes); written.error) co_return Sent::stale;
  Answer answer;
  do {
    co_await read_answer(conn, {}, answer);
    if (answer.state == Answer::State::gone) co_return Sent::stale;
    if (answer.state != Answer::State::complete) co_return Sent::failed;
  } while (answer.head.status < 200 && answer.head.status != 101);
  const auto framing = response_framing(answer.head, job.method);
  if (!framing || answer.head.status < 200) co_return Sent::failed;
  status = answer.head.status;
  BodyReader body(conn, *framing);
  std::size_t seen = 0;
  for (;;) {
    switch (co_await body.next()) {
      case BodyReader::State::done:
        reusable = framing->kind != BodyKind::until_close &&
                   persistent(read_connection(answer.head.fields), answer.head.minor) && conn.unread().empty();
        co_return Sent::done;
      case BodyReader::State::data:
        seen += body.data().size();
        // The status is known, and that is what is compared: the rest is not worth the primary's processor time.
        if (seen > settings_.answer_bytes_max) co_return Sent::done;
        break;
      case BodyReader::State::refused:
      case BodyReader::State::broken:
        co_return Sent::failed;
    }
  }
}

}  // namespace foreshadow::kinds::http
