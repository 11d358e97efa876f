#include "observe/scheduler.hpp"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <map>
#include <mutex>
#include <thread>
#include <utility>

#include "base/log.hpp"

namespace foreshadow::observe {
namespace {

using Steady = std::chrono::steady_clock;

// What a source is given beyond its timeout to notice that it should stop, before its thread is left to itself.
constexpr Millis grace{250};

}  // namespace

// Shared with its thread, which may outlive the scheduler when the source hangs.
struct Scheduler::Job {
  std::unique_ptr<Source> source;
  Pace pace;
  std::thread thread;

  // Held while the sink runs, so that "stopping" set under it means that the sink is not called again.
  std::mutex delivering;

  std::mutex mutex;
  std::condition_variable changed;
  bool stopping = false;
  bool finished = false;
  std::optional<std::stop_source> scrape;  // of the scrape under way
  Steady::time_point deadline;
  bool overdue = false;
  SourceStatus status;
};

struct Scheduler::Shared {
  Clock& clock;
  Sink sink;
  std::mutex mutex;
  std::condition_variable changed;
  std::map<SourceId, std::shared_ptr<Job>> jobs;
  SourceId next_id = 1;
  bool stopping = false;
  std::thread watchdog;

  Shared(Clock& c, Sink s) : clock(c), sink(std::move(s)) {}

  static Result<std::vector<Reading>> guarded_scrape(Source& source, std::stop_token stop) {
    try {
      return source.scrape(std::move(stop));
    } catch (const std::exception& e) {
      return fail(Code::io, e.what());
    }
  }

  // A job's thread. It takes what it needs of the scheduler by reference and looks at it only under `delivering` and
  // while not stopping, that is, while the scheduler still waits for it.
  static void run(std::shared_ptr<Job> job, Clock* clock, const Sink* sink) {
    auto turn = Steady::now();
    std::unique_lock lock(job->mutex);
    for (;;) {
      job->changed.wait_until(lock, turn, [&] { return job->stopping; });
      if (job->stopping) break;
      std::stop_source stop;
      job->scrape = stop;
      job->deadline = Steady::now() + job->pace.timeout;
      job->overdue = false;
      lock.unlock();
      auto result = guarded_scrape(*job->source, stop.get_token());
      const auto ended = Steady::now();

      std::unique_lock delivery(job->delivering);
      lock.lock();
      job->scrape.reset();
      if (job->stopping) break;
      ++job->status.scrapes;
      if (!job->overdue && ended > job->deadline) {
        job->overdue = true;
        ++job->status.timeouts;
      }
      if (job->overdue) {
        job->status.last_error = "timed out after " + std::to_string(job->pace.timeout.count()) + "ms";
      } else if (!result) {
        ++job->status.failures;
        if (job->status.last_error != result.error().what)
          log::debug("source {}: {}", job->status.name, result.error().what);
        job->status.last_error = result.error().what;
      } else {
        const auto at = clock->now();
        job->status.last_success = at;
        job->status.last_error.clear();
        const auto resource = job->status.resource;
        lock.unlock();
        (*sink)(resource, std::move(*result), at);
        lock.lock();
      }
      delivery.unlock();
      turn += job->pace.interval;
      if (const auto now = Steady::now(); turn < now) {
        const auto missed = (now - turn) / job->pace.interval + 1;
        job->status.overruns += static_cast<std::uint64_t>(missed);
        turn += missed * job->pace.interval;
      }
    }
    job->finished = true;
    job->changed.notify_all();
  }

  // Asks overdue scrapes to stop. It need not be woken when a scrape starts: none can be due sooner than the shortest
  // timeout from now.
  void watch() {
    std::unique_lock lock(mutex);
    while (!stopping) {
      const auto now = Steady::now();
      auto wake = now + std::chrono::hours{1};
      for (auto& [id, job] : jobs) {
        std::scoped_lock job_lock(job->mutex);
        wake = std::min(wake, now + std::chrono::duration_cast<Steady::duration>(job->pace.timeout));
        if (!job->scrape || job->overdue) continue;
        if (job->deadline <= now) {
          job->overdue = true;
          ++job->status.timeouts;
          job->scrape->request_stop();
        } else {
          wake = std::min(wake, job->deadline);
        }
      }
      changed.wait_until(lock, wake);
    }
  }
};

Scheduler::Scheduler(Clock& clock, Sink sink) : shared_(std::make_unique<Shared>(clock, std::move(sink))) {
  shared_->watchdog = std::thread([shared = shared_.get()] { shared->watch(); });
}

Scheduler::~Scheduler() {
  std::map<SourceId, std::shared_ptr<Job>> jobs;
  {
    std::scoped_lock lock(shared_->mutex);
    shared_->stopping = true;
    jobs.swap(shared_->jobs);
  }
  shared_->changed.notify_all();
  shared_->watchdog.join();
  // All are told first, so that the slowest, not their sum, decides how long this takes.
  for (auto& [id, job] : jobs) stop(*job);
  for (auto& [id, job] : jobs) await(*job);
}

SourceId Scheduler::add(ResourceId resource, std::unique_ptr<Source> source, Pace pace) {
  pace.interval = std::max(pace.interval, Millis{1});
  pace.timeout = std::max(pace.timeout, Millis{1});
  auto job = std::make_shared<Job>();
  job->pace = pace;
  job->status.resource = std::move(resource);
  job->status.name = source->name();
  job->source = std::move(source);
  std::scoped_lock lock(shared_->mutex);
  const auto id = shared_->next_id++;
  job->status.id = id;
  shared_->jobs.emplace(id, job);
  job->thread = std::thread(&Shared::run, job, &shared_->clock, &shared_->sink);
  shared_->changed.notify_all();
  return id;
}

void Scheduler::remove(SourceId id) {
  std::shared_ptr<Job> job;
  {
    std::scoped_lock lock(shared_->mutex);
    const auto it = shared_->jobs.find(id);
    if (it == shared_->jobs.end()) return;
    job = std::move(it->second);
    shared_->jobs.erase(it);
  }
  stop(*job);
  await(*job);
}

void Scheduler::stop(Job& job) {
  std::scoped_lock delivery(job.delivering);
  std::scoped_lock lock(job.mutex);
  job.stopping = true;
  if (job.scrape) job.scrape->request_stop();
  job.changed.notify_all();
}

void Scheduler::await(Job& job) {
  bool finished = false;
  {
    std::unique_lock lock(job.mutex);
    finished = job.changed.wait_for(lock, job.pace.timeout + grace, [&] { return job.finished; });
  }
  if (finished) {
    job.thread.join();
    return;
  }
  log::warn("source {} does not return; left behind", job.status.name);
  job.thread.detach();
}

std::vector<SourceStatus> Scheduler::status() const {
  std::vector<SourceStatus> all;
  std::scoped_lock lock(shared_->mutex);
  for (const auto& [id, job] : shared_->jobs) {
    std::scoped_lock job_lock(job->mutex);
    all.push_back(job->status);
  }
  return all;
}

}  // namespace foreshadow::observe
