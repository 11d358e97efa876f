// Copies of requests for the shadow. They wait in a bounded queue of their own, travel over connections of their own,
// and have a deadline; when the shadow is slow, dead or sends without end, copies are dropped and counted. Nothing the
// primary's client waits for ever waits for anything here.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kinds/http/session/comparer.hpp"
#include "kinds/http/session/pool.hpp"
#include "kinds/http/session/rate_cap.hpp"
#include "kinds/http/session/spool.hpp"
#include "kinds/http/wire/head.hpp"
#include "proxy/gate.hpp"

namespace foreshadow::kinds::http {

struct MirrorJob {
  proxy::Gate* gate = nullptr;  // outlives the gateway's loop
  std::shared_ptr<const Instance> to;
  std::size_t segment = 0;
  std::string method;
  std::string bytes;       // the whole request as it goes out, marked
  int primary_status = 0;  // 0: the primary gave no answer
  std::string target;
  AnswerCopy primary;  // without a head: not to be compared
  bool safe = false;   // may be sent twice
};

struct MirrorSettings {
  std::size_t at_once_max = 32;
  std::size_t queued_max = 512;
  std::size_t queued_bytes_max = 16 << 20;
  // An answer is read this far, so that its connection can be used again; a longer one is cut off.
  std::size_t answer_bytes_max = 1 << 20;
  Millis deadline{5000};
  // Of requests that are not safe: their work is done and rolled back, and takes locks meanwhile.
  double writes_per_s = 1000;
  // Of each segment's safe copies that are compared, the first ones of each shadow and then this share are sent twice,
  // one after the other, so that noise is known. Drawn by chance, so that no rhythm of the clients' meets it. 0: none.
  std::uint64_t twice_first = 50;
  double twice_share = 0.01;
};

class Mirror : public std::enable_shared_from_this<Mirror> {
 public:
  // Without a comparer, only the class of the status is compared.
  Mirror(boost::asio::any_io_executor executor, std::shared_ptr<Watchdog> watchdog, MirrorSettings settings,
         Pool::Tls tls, std::shared_ptr<Comparer> comparer, std::shared_ptr<SpoolRoom> room);

  // Would a copy of about this size be taken now? Asked before the work of making one.
  bool has_room(std::size_t bytes) const;
  // May one more copy of an unsafe request be made?
  bool takes_write() { return writes_.take(std::chrono::steady_clock::now()); }
  // Never waits. False: dropped, and counted as such.
  bool offer(MirrorJob job);
  std::size_t queued_bytes() const { return queued_bytes_; }

 private:
  static awaitable<void> work(std::shared_ptr<Mirror> self);
  struct Reply {
    int status = 0;  // 0: no answer
    bool reusable = false;
    AnswerCopy copy;  // without a head: there was no whole answer, or none is to be compared
  };
  awaitable<proxy::MirrorResult> send(const MirrorJob& job, Reply& reply);
  enum class Sent { done, stale, failed };
  awaitable<Sent> exchange(Conn& conn, const MirrorJob& job, Reply& reply);
  awaitable<Sent> exchange(h2client::Call& call, const MirrorJob& job, Reply& reply, Millis within);
  bool comes_twice(const MirrorJob& job);
  void tell(MirrorJob job, proxy::MirrorResult result, AnswerCopy shadow, std::optional<AnswerCopy> again);

  boost::asio::any_io_executor executor_;
  MirrorSettings settings_;
  RateCap writes_{settings_.writes_per_s};
  std::shared_ptr<Pool> pool_;
  std::shared_ptr<Comparer> comparer_;  // null: none. Shared with the protocol, which stops it
  std::shared_ptr<SpoolRoom> room_;
  InstanceId compared_with_;
  std::vector<std::uint64_t> compared_;  // with that shadow, by segment
  std::deque<MirrorJob> queue_;
  std::size_t queued_bytes_ = 0;  // waiting or being sent
  std::size_t working_ = 0;
};

}  // namespace foreshadow::kinds::http
