#include "kinds/http/session/mirror.hpp"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include "kinds/http/session/answer.hpp"
#include "kinds/http/session/body.hpp"
#include "kinds/http/wire/framing.hpp"
#include "kinds/http/wire/rewrite.hpp"
#include "proxy/sticky.hpp"

namespace foreshadow::kinds::http {

namespace asio = boost::asio;
using Steady = Watch::Steady;

namespace {
std::size_t bytes_of(const MirrorJob& job) { return job.bytes.size() + job.primary.bytes(); }
}  // namespace

Mirror::Mirror(asio::any_io_executor executor, std::shared_ptr<Watchdog> watchdog, MirrorSettings settings,
               Pool::Tls tls, std::shared_ptr<Comparer> comparer, std::shared_ptr<SpoolRoom> room)
    : executor_(executor),
      settings_(settings),
      pool_(std::make_shared<Pool>(executor, std::move(watchdog), settings.at_once_max, std::move(tls))),
      comparer_(std::move(comparer)),
      room_(std::move(room)) {}

bool Mirror::has_room(std::size_t bytes) const {
  return queue_.size() < settings_.queued_max && queued_bytes_ + bytes <= settings_.queued_bytes_max;
}

bool Mirror::offer(MirrorJob job) {
  if (!has_room(bytes_of(job))) {
    job.gate->mirrored(job.segment, {.dropped = true});
    return false;
  }
  queued_bytes_ += bytes_of(job);
  queue_.push_back(std::move(job));
  if (working_ < settings_.at_once_max) {
    ++working_;
    asio::co_spawn(executor_, work(shared_from_this()), asio::detached);
  }
  return true;
}

awaitable<void> Mirror::work(std::shared_ptr<Mirror> self) {
  while (!self->queue_.empty()) {
    auto job = std::move(self->queue_.front());
    self->queue_.pop_front();
    Reply reply;
    const auto result = co_await self->send(job, reply);
    std::optional<AnswerCopy> again;
    if (!result.error && self->comes_twice(job)) {
      Reply second;
      co_await self->send(job, second);
      if (!second.copy.head.empty()) again = std::move(second.copy);
    }
    self->queued_bytes_ -= bytes_of(job);
    self->tell(std::move(job), result, std::move(reply.copy), std::move(again));
  }
  --self->working_;
}

bool Mirror::comes_twice(const MirrorJob& job) {
  if (!comparer_ || !job.safe || job.primary.head.empty() || settings_.twice_share <= 0) return false;
  // A shadow that does not keep up is not given more to do.
  if (queue_.size() >= settings_.at_once_max) return false;
  if (compared_with_ != job.to->id) {
    compared_with_ = job.to->id;
    compared_.clear();
  }
  if (compared_.size() <= job.segment) compared_.resize(job.segment + 1);
  const auto nth = ++compared_[job.segment];
  return nth <= settings_.twice_first || proxy::point_of(nth) < settings_.twice_share;
}

void Mirror::tell(MirrorJob job, proxy::MirrorResult result, AnswerCopy shadow, std::optional<AnswerCopy> again) {
  // A primary that fails itself is no measure of its shadow.
  const bool comparable = !job.primary.head.empty() && job.primary_status < 500 && !shadow.head.empty();
  if (comparer_ && comparable) {
    comparer_->offer({job.gate, job.segment, job.method + " " + job.target, std::move(job.primary), std::move(shadow),
                      std::move(again), std::move(result)});
    return;
  }
  if (comparer_) comparer_->skip(job.segment);
  if (comparer_ && result.error && job.primary_status != 0 && job.primary_status < 500)
    comparer_->note_failure(job.segment, job.to->id);
  job.gate->mirrored(job.segment, result);
}

awaitable<proxy::MirrorResult> Mirror::send(const MirrorJob& job, Reply& reply) {
  const auto started = Steady::now();
  const auto left = [&] {
    return std::max(Millis{0}, settings_.deadline - std::chrono::duration_cast<Millis>(Steady::now() - started));
  };
  proxy::MirrorResult result{.shadow = job.to->id};
  auto sent = Sent::stale;
  // A kept connection may turn out dead; a copy may safely be sent twice, so once more over a fresh one.
  for (const Millis idle_age_max : {Millis{10'000}, Millis{0}}) {
    auto kept = pool_->kept(*job.to, idle_age_max, true);
    auto got = kept ? Result<Pool::Got>(std::move(*kept)) : co_await pool_->get(*job.to, left(), idle_age_max);
    if (!got) {
      sent = Sent::failed;
      break;
    }
    reply = {};
    if (got->call) {
      sent = co_await exchange(*got->call, job, reply, left());
      if (sent != Sent::stale) break;
      continue;
    }
    got->conn->watch().arm(left());
    sent = co_await exchange(*got->conn, job, reply);
    if (reply.reusable) pool_->put(*job.to, std::move(got->conn));
    if (sent != Sent::stale || !got->reused) break;
  }
  result.took = std::chrono::duration_cast<proxy::Micros>(Steady::now() - started);
  reply.copy.took = result.took;
  const bool answered = sent == Sent::done;
  if (!answered) reply.copy = {};
  result.error = !answered || reply.status >= 500;
  // A primary that fails itself is no measure of its shadow.
  result.primary_failed = job.primary_status == 0 || job.primary_status >= 500;
  result.mismatched = answered && !result.primary_failed && reply.status / 100 != job.primary_status / 100;
  co_return result;
}

awaitable<Mirror::Sent> Mirror::exchange(Conn& conn, const MirrorJob& job, Reply& reply) {
  if (const auto written = co_await conn.write(job.bytes); written.error) co_return Sent::stale;
  Answer answer;
  do {
    co_await read_answer(conn, {}, answer);
    if (answer.state == Answer::State::gone) co_return Sent::stale;
    if (answer.state != Answer::State::complete) co_return Sent::failed;
  } while (answer.head.status < 200 && answer.head.status != 101);
  const auto framing = response_framing(answer.head, job.method);
  if (!framing || answer.head.status < 200) co_return Sent::failed;
  reply.status = answer.head.status;
  const bool compared = comparer_ && !job.primary.head.empty();
  if (compared) reply.copy.head = answer.bytes;
  BodyReader body(conn, *framing);
  std::size_t seen = 0;
  for (;;) {
    switch (co_await body.next()) {
      case BodyReader::State::done:
        reply.reusable = framing->kind != BodyKind::until_close &&
                         persistent(read_connection(answer.head.fields), answer.head.minor) && conn.unread().empty();
        co_return Sent::done;
      case BodyReader::State::data:
        seen += body.data().size();
        if (compared) reply.copy.keep(body.data(), room_->body_max);
        // No more than this is ever compared: the rest is not worth the primary's processor time.
        if (seen > settings_.answer_bytes_max) co_return Sent::done;
        break;
      case BodyReader::State::refused:
      case BodyReader::State::broken:
        co_return Sent::failed;
    }
  }
}

}  // namespace foreshadow::kinds::http
