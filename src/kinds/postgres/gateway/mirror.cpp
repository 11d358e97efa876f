#include "kinds/postgres/gateway/mirror.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/this_coro.hpp>
#include <chrono>

#include "base/log.hpp"

namespace foreshadow::kinds::pg_gateway {

namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;

namespace {

constexpr std::size_t queued_max = 256;
constexpr std::size_t lanes_max = 32;
constexpr int workers_per_lane = 2;
constexpr Millis job_timeout{2000};
constexpr Millis idle_max{30'000};

Startup read_only(const Startup& like) {
  Startup startup;
  startup.version = 3 << 16;
  std::string options;
  for (const auto& [name, value] : like.parameters) {
    if (name == "options") {
      options = value + " ";
    } else if (name != "application_name" && name.rfind("_pq_.", 0) != 0) {
      startup.parameters.emplace_back(name, value);
    }
  }
  startup.parameters.emplace_back("application_name", "foreshadow mirror");
  // A setting given as a startup parameter of its own is applied after `options`, so those must not name ours.
  std::erase_if(startup.parameters, [](const auto& p) {
    std::string name = p.first;
    for (char& c : name) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    return name == "default_transaction_read_only" || name == "transaction_read_only" || name == "statement_timeout";
  });
  startup.parameters.emplace_back("options", options + "-c default_transaction_read_only=on -c statement_timeout=" +
                                                 std::to_string(job_timeout.count()));
  return startup;
}

}  // namespace

MirrorPool::MirrorPool(std::shared_ptr<Dialer> dialer, const Credentials& credentials)
    : dialer_(std::move(dialer)), executor_(dialer_->executor), credentials_(credentials) {}

void MirrorPool::report(const MirrorJob& job, const proxy::MirrorResult& result) {
  if (stopped_) return;
  auto told = result;
  if (!told.dropped) told.shadow = job.target->id;
  job.gate->mirrored(job.segment, told);
}

void MirrorPool::submit(MirrorJob job, const Startup& like) {
  if (stopped_) return;
  const Startup startup = read_only(like);
  const std::string key = job.target->id + '\0' + job.target->endpoint.text() + '\0' + startup_packet(startup);
  auto found = lanes_.find(key);
  if (queued_ >= queued_max || (found == lanes_.end() && lanes_.size() >= lanes_max))
    return report(job, {.dropped = true});
  if (found == lanes_.end()) {
    found = lanes_.emplace(key, std::make_shared<Lane>(executor_)).first;
    found->second->startup = startup;
  }
  auto& lane = *found->second;
  const bool busy = !lane.jobs.empty() || lane.workers == 0;
  lane.jobs.push_back(std::move(job));
  ++queued_;
  if (busy && lane.workers < workers_per_lane) {
    ++lane.workers;
    asio::co_spawn(
        executor_, [self = shared_from_this(), lane = found->second, key] { return self->work(lane, key); },
        asio::detached);
  }
  lane.bell.ring();
}

void MirrorPool::stop() {
  stopped_ = true;
  for (auto& [raw, backend] : open_)
    if (const auto alive = backend.lock()) alive->conn->close();
  for (auto& [key, lane] : lanes_) lane->bell.ring();
}

asio::awaitable<void> MirrorPool::work(std::shared_ptr<Lane> lane, std::string key) {
  std::shared_ptr<Backend> backend;
  while (!stopped_) {
    if (lane->jobs.empty()) {
      Deadline idle(executor_, idle_max, [&] { lane->bell.ring(); });
      co_await lane->bell.wait();
      if (idle.passed() && lane->jobs.empty()) break;
      continue;
    }
    MirrorJob job = std::move(lane->jobs.front());
    lane->jobs.pop_front();
    --queued_;
    if (!backend || backend->dead || backend->peek() != Backend::Peek::quiet) {
      auto opened = co_await open_backend(dialer_, *job.target, 0, lane->startup, credentials_, job_timeout);
      if (stopped_) break;
      if (!opened) {
        log::debug("mirror: {}", opened.error().what);
        backend.reset();
        report(job, {.error = true});
        // While it is down, copies would only queue up behind connects that fail.
        for (const auto& left : lane->jobs) report(left, {.dropped = true});
        queued_ -= lane->jobs.size();
        lane->jobs.clear();
        continue;
      }
      backend = *std::move(opened);
      open_[backend.get()] = backend;
    }
    // A standby that was promoted says so at once; nothing is copied to a server that can write.
    if (!backend->in_recovery()) {
      report(job, {.dropped = true});
      break;
    }
    const auto result = co_await run(*backend, job);
    report(job, result);
    if (backend->dead) {
      open_.erase(backend.get());
      backend.reset();
    }
  }
  if (backend) open_.erase(backend.get());
  if (--lane->workers > 0 || stopped_) co_return;
  for (const auto& left : lane->jobs) report(left, {.dropped = true});
  queued_ -= lane->jobs.size();
  lane->jobs.clear();
  lanes_.erase(key);
}

asio::awaitable<proxy::MirrorResult> MirrorPool::run(Backend& b, const MirrorJob& job) {
  const auto began = Clock::now();
  Deadline deadline(executor_, job_timeout, [&] { b.conn->close(); });
  proxy::MirrorResult result;
  std::string tag;
  bool failed = !co_await send(*b.conn, job.bytes);
  bool ready = false;
  while (!failed && !ready) {
    const auto piece = co_await read_message(b);
    if (!piece) {
      failed = true;
      break;
    }
    if (piece->head) {
      if (piece->type == 'C') tag = decode_string(piece->body).value_or("");
      if (piece->type == 'E') result.error = true;
      if (piece->type == 'S') b.note(*piece);
      ready = piece->type == 'Z';
    }
    b.conn->consume(piece->size);
  }
  if (failed) {
    b.dead = true;
    b.conn->close();
    result.error = true;
  }
  result.mismatched = result.error || tag != job.tag;
  result.took = std::chrono::duration_cast<proxy::Micros>(Clock::now() - began);
  co_return result;
}

}  // namespace foreshadow::kinds::pg_gateway
