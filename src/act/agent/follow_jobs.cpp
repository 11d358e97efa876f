#include "act/agent/follow_jobs.hpp"

#include <chrono>
#include <utility>
#include <vector>

#include "base/log.hpp"

namespace foreshadow::act {
namespace {

using namespace std::chrono_literals;
constexpr auto kAnswerWithin = 200ms;

}  // namespace

FollowJobs::FollowJobs(Millis lease) : lease_(lease), watcher_([this](std::stop_token stop) { watch(stop); }) {}

FollowJobs::~FollowJobs() {
  watcher_.request_stop();
  watcher_.join();
  std::map<std::string, std::shared_ptr<Job>> jobs;
  {
    const std::lock_guard lock(mutex_);
    jobs.swap(jobs_);
  }
  for (auto& [key, job] : jobs) job->thread.request_stop();
  for (auto& [key, job] : jobs)
    if (job->thread.joinable()) job->thread.join();
}

Result<FollowJobs::Status> FollowJobs::ask(const std::string& key, Work work) {
  std::unique_lock lock(mutex_);
  auto& slot = jobs_[key];
  if (!slot) {
    slot = std::make_shared<Job>();
    slot->status.detail = "starting";
    // A plain pointer: the thread belongs to the job, and whoever drops the job joins it first.
    slot->thread = std::jthread([this, job = slot.get(), work = std::move(work)](std::stop_token stop) {
      const Progress progress = [this, job](double fraction, const std::string& detail) {
        const std::lock_guard inner(mutex_);
        job->status.fraction = fraction;
        job->status.detail = detail;
        ++job->changes;
        changed_.notify_all();
      };
      auto result = work(progress, stop);
      const std::lock_guard inner(mutex_);
      job->result = std::move(result);
      job->status.done = true;
      ++job->changes;
      changed_.notify_all();
    });
  }
  const auto job = slot;
  job->asked = std::chrono::steady_clock::now();
  const auto seen = job->changes;
  changed_.wait_for(lock, kAnswerWithin, [&] { return job->status.done || job->changes != seen; });
  job->asked = std::chrono::steady_clock::now();
  if (!job->status.done) return job->status;
  auto status = job->status;
  auto result = job->result;
  // Another thread may have told the same end already.
  if (const auto it = jobs_.find(key); it != jobs_.end() && it->second == job) jobs_.erase(it);
  lock.unlock();
  if (!result) return tl::make_unexpected(std::move(result).error());
  status.fraction = 1;
  status.detail = std::move(*result);
  return status;
}

void FollowJobs::abandon(const std::string& key) {
  std::unique_lock lock(mutex_);
  const auto it = jobs_.find(key);
  if (it == jobs_.end()) return;
  const auto job = it->second;
  job->thread.request_stop();
  changed_.wait(lock, [&] { return job->status.done; });
  if (const auto again = jobs_.find(key); again != jobs_.end() && again->second == job) jobs_.erase(again);
}

void FollowJobs::watch(std::stop_token stop) {
  std::unique_lock lock(mutex_);
  while (!stop.stop_requested()) {
    changed_.wait_for(lock, stop, std::min<Millis>(lease_ / 4 + 1ms, 1s), [] { return false; });
    const auto now = std::chrono::steady_clock::now();
    std::vector<std::shared_ptr<Job>> ended;  // destroyed, so joined, without the lock
    for (auto it = jobs_.begin(); it != jobs_.end();) {
      auto& job = it->second;
      if (now - job->asked < lease_) {
        ++it;
      } else if (job->status.done) {
        ended.push_back(std::move(job));
        it = jobs_.erase(it);
      } else {
        if (!job->thread.get_stop_token().stop_requested())
          log::warn("follow of {} abandoned: nobody has asked about it for {} ms", it->first, lease_.count());
        job->thread.request_stop();
        ++it;
      }
    }
    lock.unlock();
    ended.clear();
    lock.lock();
  }
}

}  // namespace foreshadow::act
