// Base copies take minutes, questions take milliseconds: a follow runs as a job of the agent, and whoever wants the
// shadow asks how far it is. A job that nobody asks about is stopped when its lease is over, because its controller is
// gone and a copy that nobody wants still loads the primary.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>

#include "act/replicate/replicator.hpp"

namespace foreshadow::act {

// Thread-safe. The destructor stops all jobs and joins them.
class FollowJobs {
 public:
  using Work = std::function<Result<std::string>(const Progress& progress, std::stop_token stop)>;
  struct Status {
    bool done = false;
    double fraction = 0;
    std::string detail;
  };

  explicit FollowJobs(Millis lease);
  ~FollowJobs();

  // Starts the job if none runs under `key`, waits a moment for news, tells them. A job that has ended is told once and
  // forgotten; its error is the answer's error.
  Result<Status> ask(const std::string& key, Work work);
  // Stops the job and returns once it has ended; nothing to do is fine.
  void abandon(const std::string& key);

 private:
  struct Job {
    Status status;
    Result<std::string> result;
    std::chrono::steady_clock::time_point asked;
    std::uint64_t changes = 0;
    std::jthread thread;
  };
  void watch(std::stop_token stop);

  const Millis lease_;
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::map<std::string, std::shared_ptr<Job>> jobs_;  // shared: a job outlives its entry while an answer is on its way
  std::jthread watcher_;
};

}  // namespace foreshadow::act
