#include "kinds/http/session/access_log.hpp"

#include <chrono>

#include "kinds/http/wire/access_line.hpp"
#include "proxy/gate_stats.hpp"

namespace foreshadow::kinds::http {
namespace {

std::string_view error_text(const Account& account) {
  switch (account.failure) {
    case proxy::Failure::connect:
      return "connect";
    case proxy::Failure::reset:
      return "reset";
    case proxy::Failure::timeout:
      return "timeout";
    case proxy::Failure::protocol:
      return "protocol";
    case proxy::Failure::status_5xx:
      return "status_5xx";
    case proxy::Failure::client_gone:
      return "client_gone";
    case proxy::Failure::none:
    case proxy::Failure::other:
      break;
  }
  if (account.refused) return "refused";
  if (account.status == 0) return "client_gone";
  return account.by_ourselves ? "bad_request" : std::string_view{};
}

std::int64_t microseconds(Account::Steady::duration duration) {
  return std::chrono::duration_cast<std::chrono::microseconds>(duration).count();
}

}  // namespace

Result<std::shared_ptr<io::LineLog>> AccessLog::open(const HttpOptions& options, std::size_t threads) {
  FS_TRY(lines, io::LineLog::open({.path = options.access_log, .writers = threads}));
  return std::shared_ptr<io::LineLog>(std::move(lines));
}

AccessLog::AccessLog(ResourceId resource, const std::vector<Segment>& segments, const HttpOptions& options,
                     std::shared_ptr<io::LineLog> lines, std::size_t nth, std::uint64_t seed)
    : resource_(std::move(resource)),
      sample_(options.access_log_sample),
      query_(options.access_log_query),
      lines_(std::move(lines)),
      nth_(nth),
      random_(seed) {
  for (const auto& segment : segments) segments_.push_back(segment.id);
  segments_.emplace_back(proxy::kUnmatchedSegment);
}

void AccessLog::write(const Request& request, const Account& account, const Arrival& client) {
  // A connection that ended between two requests.
  if (account.status == 0 && request.head.method.empty()) return;
  if (sample_ < 1 && !random_.chance(sample_)) return;
  const auto now = std::chrono::system_clock::now();
  const bool received = account.matched;
  AccessLine line{.at_ms = std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count(),
                  .resource = resource_,
                  .client = client.address,
                  .tls = client.secure,
                  .method = request.head.method,
                  .target = request.head.target,
                  .query = query_,
                  .status = account.status,
                  .bytes_in = account.bytes_in,
                  .bytes_out = account.bytes_out,
                  .wait_us = microseconds(account.waited),
                  .mirrored = account.mirrored,
                  .retried = account.retried,
                  .insured = account.insured,
                  .error = error_text(account),
                  .request_id = request.identity.request_id,
                  .trace_id = request.identity.trace_id,
                  .span_id = request.identity.span_id};
  if (!line.method.empty())
    line.version = request.received != "1.1" ? request.received : request.head.minor == 0 ? "1.0" : "1.1";
  if (received) {
    line.segment = segments_[request.segment];
    line.total_us = microseconds(Account::Steady::now() - request.received_at);
  }
  if (account.entered) {
    line.side = account.side == proxy::Side::current ? "current" : "other";
    line.instance = account.instance;
  }
  if (account.first_byte_at != Account::Steady::time_point{})
    line.first_byte_us = microseconds(account.first_byte_at - request.received_at);
  line_.clear();
  append_access_line(line_, line);
  lines_->push(line_, nth_);
}

}  // namespace foreshadow::kinds::http
