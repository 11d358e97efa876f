// One line of JSON for each request that ended, however it ended, into a file: see docs/observability.md for the keys.
// Never waits: lines that the disk does not take in time are dropped and counted (io/line_log.hpp). Holds no header
// field, and the query of a target only where that was asked for.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/random.hpp"
#include "base/result.hpp"
#include "io/line_log.hpp"
#include "kinds/http/options.hpp"
#include "kinds/http/session/request.hpp"

namespace foreshadow::kinds::http {

// Used on one of the gateway's threads only; each has its own, and they share the file.
class AccessLog {
 public:
  // Lines of `threads`. Errors as io::LineLog::open.
  static Result<std::shared_ptr<io::LineLog>> open(const HttpOptions& options, std::size_t threads);
  // `nth`: of those threads. `seed`: for the sample.
  AccessLog(ResourceId resource, const std::vector<Segment>& segments, const HttpOptions& options,
            std::shared_ptr<io::LineLog> lines, std::size_t nth, std::uint64_t seed);
  void write(const Request& request, const Account& account, const Arrival& client);
  // Of all threads, as told by the first of them.
  std::uint64_t dropped() const { return nth_ == 0 ? lines_->dropped() : 0; }

 private:
  const ResourceId resource_;
  std::vector<SegmentId> segments_;  // by index; the last for requests of none
  const double sample_;
  const bool query_;
  const std::shared_ptr<io::LineLog> lines_;
  const std::size_t nth_;
  Random random_;
  std::string line_;  // reused
};

// Writes when the request's scope ends, also where its coroutine is destroyed. Everything given outlives it.
class LogAtEnd {
 public:
  // `log` may be null.
  LogAtEnd(AccessLog* log, const Request& request, const Account& account, const Arrival& client)
      : log_(log), request_(request), account_(account), client_(client) {}
  LogAtEnd(const LogAtEnd&) = delete;
  LogAtEnd& operator=(const LogAtEnd&) = delete;
  ~LogAtEnd() {
    if (log_) log_->write(request_, account_, client_);
  }

 private:
  AccessLog* log_;
  const Request& request_;
  const Account& account_;
  const Arrival& client_;
};

}  // namespace foreshadow::kinds::http
