// SIGTERM and SIGINT as a stop token, so that every role ends the same way. Make it first, in the main thread: threads
// made later inherit the blocked signals. SIGHUP and SIGPIPE are ignored.
#pragma once

#include <stop_token>
#include <thread>

namespace foreshadow::app {

class StopSignals {
 public:
  StopSignals();
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;
  std::stop_token token() const { return source_.get_token(); }

 private:
  std::stop_source source_;
  std::thread thread_;
};

}  // namespace foreshadow::app
