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

// Used on the gateway's thread only.
class AccessLog {
 public:
  // Errors as io::LineLog::open. `seed`: for the sample.
  static Result<std::shared_ptr<AccessLog>> open(const ResourceId& resource, const std::vector<Segment>& segments,
                                                 const HttpOptions& options, std::uint64_t seed);
  void write(const Request& request, const Account& account, const Arrival& client);
  std::uint64_t dropped() const { return lines_->dropped(); }

 private:
  AccessLog(ResourceId resource, const std::vector<Segment>& segments, const HttpOptions& options,
            std::unique_ptr<io::LineLog> lines, std::uint64_t seed);

  const ResourceId resource_;
  std::vector<SegmentId> segments_;  // by index; the last for requests of none
  const double sample_;
  const bool query_;
  std::unique_ptr<io::LineLog> lines_;
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
