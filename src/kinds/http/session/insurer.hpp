// What stands behind the insurance of one listener's requests: the terms of each segment, how well the shadow does,
// who has written of late, connections of its own, and the count. Who insures one request is Cover.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "domain/gateway_report.hpp"
#include "kinds/http/compare/standing.hpp"
#include "kinds/http/insurance_options.hpp"
#include "kinds/http/session/arrival.hpp"
#include "kinds/http/session/pool.hpp"
#include "kinds/http/session/recent_writes.hpp"
#include "kinds/http/sticky.hpp"
#include "proxy/gate.hpp"

namespace foreshadow::kinds::http {

// Lives on one thread; `standing` and `writes` may be those of several.
class Insurer {
 public:
  using Time = Standing::Time;
  struct Terms {
    InsuranceOptions options;
    Sticky client;  // what makes several requests one client's
  };
  // `terms`: one for each segment, insured or not. `standing` is written to by those who compare answers, too.
  Insurer(boost::asio::any_io_executor executor, std::shared_ptr<Watchdog> watchdog, Pool::Tls tls,
          std::vector<Terms> terms, std::shared_ptr<Standing> standing, std::shared_ptr<RecentWrites> writes);

  // Null: work of this segment is not insured.
  const InsuranceOptions* terms(std::size_t segment) const;
  // The shadow that may stand in now for an instance that failed. Nothing: there is none, its answers do not compare
  // well enough, or it is asked for too much already.
  std::optional<Instance> shadow_for(const proxy::Gate& gate, std::size_t segment, const InstanceId& failed,
                                     Time now) const;
  // This client has written so lately that the shadow might not know.
  bool wrote_lately(Arrival& client, const RequestHead& head, std::size_t segment, Time now);
  // A request of this client that is not safe has reached an instance.
  void wrote(Arrival& client, const RequestHead& head, Time now);
  // Asked, the shadow gave nothing that is an answer.
  void disappointed(std::size_t segment, const InstanceId& shadow, Time now) {
    standing_->note(segment, shadow, false, now);
  }

  Pool& pool() { return *pool_; }
  InsuranceStats& stats(std::size_t segment) { return accounts_[segment].stats; }
  void report(std::vector<SegmentStats>& segments) const;

  // One request that the shadow is asked, as long as it lives. Not movable.
  class Asking {
   public:
    Asking(Insurer& insurer, std::size_t segment) : count_(insurer.accounts_[segment].asking) { ++count_; }
    ~Asking() { --count_; }
    Asking(const Asking&) = delete;
    Asking& operator=(const Asking&) = delete;

   private:
    std::uint64_t& count_;
  };

 private:
  struct Account {
    InsuranceStats stats;
    std::uint64_t asking = 0;
  };
  std::vector<Terms> terms_;
  std::vector<Sticky> clients_;  // those of the insured segments, each once
  std::vector<Account> accounts_;
  std::shared_ptr<Standing> standing_;
  std::shared_ptr<Pool> pool_;
  std::shared_ptr<RecentWrites> writes_;
};

}  // namespace foreshadow::kinds::http
