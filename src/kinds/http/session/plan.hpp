// What the sessions of one listener work with (core.hpp), made for each of the gateway's threads in turn: read and
// checked once; what must be one for all of them is shared and thread-safe, everything else is made anew, with its
// share of the limits. One for all: the access log's file, the comparison and what it has found out about the shadow,
// who has written of late, the connections of one client address, and certificates.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <memory>
#include <optional>
#include <vector>

#include "base/result.hpp"
#include "io/line_log.hpp"
#include "kinds/http/session/core.hpp"
#include "kinds/http/session/insurer.hpp"

namespace foreshadow::kinds::http {

// Before the first client, on one thread.
class Plan {
 public:
  // `seed`: for all that is drawn. Error: invalid (segment conditions or options).
  static Result<std::shared_ptr<Plan>> make(const proxy::ListenerSettings& settings, std::uint64_t seed);
  // For the next thread, whose loop this is. Errors: invalid (a file that the options name), io.
  Result<std::shared_ptr<Core>> next(const boost::asio::any_io_executor& executor);

 private:
  explicit Plan(std::uint64_t seed) : seeds_(seed) {}
  Result<void> read_segments();
  Result<void> share_credentials(Core& core, const boost::asio::any_io_executor& executor);
  Result<void> share_access_log(Core& core);
  Result<void> share_comparer(Core& core, const boost::asio::any_io_executor& executor);
  // Of a limit that holds for all threads.
  template <class T>
  T share(T total) const;

  proxy::ListenerSettings settings_;
  HttpOptions options_;
  Matcher matcher_;
  std::vector<Core::Rules> rules_;
  std::vector<Insurer::Terms> terms_;
  Random seeds_;
  std::size_t threads_ = 1;
  std::size_t made_ = 0;
  std::optional<std::uint64_t> in_step_;  // see TrialSettings

  std::shared_ptr<ClientQuota> quota_;
  std::shared_ptr<Credentials> credentials_;
  std::shared_ptr<Comparer> comparer_;    // null: answers are not compared
  std::shared_ptr<Standing> standing_;    // null: no segment is insured
  std::shared_ptr<RecentWrites> writes_;  // likewise
  std::shared_ptr<io::LineLog> log_;      // null: none is kept
};

}  // namespace foreshadow::kinds::http
