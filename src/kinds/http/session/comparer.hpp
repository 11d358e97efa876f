// Compares answers beside the gateway's thread, on one of its own with the lowest priority and a share of one core that
// it does not exceed. What comes while too much waits is not compared, and counted. Nothing a client waits for ever
// waits for anything here.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <thread>
#include <vector>

#include "kinds/http/compare/book.hpp"
#include "kinds/http/compare/standing.hpp"
#include "proxy/gate.hpp"

namespace foreshadow::kinds::http {

struct ComparerSettings {
  CompareSettings compare;
  BookSettings book;
  std::size_t waiting_max = 256;
  std::size_t waiting_bytes_max = 16 << 20;
  double cpu_share_max = 0.1;  // of one core
};

class Comparer {
 public:
  struct Pair {
    proxy::Gate* gate = nullptr;  // outlives the gateway's loop
    std::size_t segment = 0;
    std::string request;  // method and target
    AnswerCopy primary;
    AnswerCopy shadow;
    std::optional<AnswerCopy> again;  // the shadow's second answer: the pair is one to learn noise from
    proxy::MirrorResult result;       // `mismatched` as the classes of the statuses say
  };
  // `executor`: the gateway's loop, where gates are told, and `standing` is, if there is one (null: none).
  Comparer(boost::asio::any_io_executor executor, ComparerSettings settings, const std::vector<SegmentId>& segments,
           std::shared_ptr<Standing> standing = nullptr);
  ~Comparer() { stop(); }
  Comparer(const Comparer&) = delete;
  Comparer& operator=(const Comparer&) = delete;

  // On the gateway's thread. Tells the pair's gate later, or at once if it is not compared: then by the class of the
  // status alone. The first pair of another shadow begins the book anew.
  void offer(Pair pair);
  // Nothing to compare: one of the answers is missing.
  void skip(std::size_t segment);
  // The primary answered, and this shadow failed. On the gateway's thread, as offer().
  void note_failure(std::size_t segment, const InstanceId& shadow);
  // Any thread.
  nlohmann::json differences() const;
  // Ends the thread; what waits is not compared and not told. To be called before the executor's context goes.
  void stop();

 private:
  struct Told {
    proxy::Gate* gate;
    std::size_t segment;
    proxy::MirrorResult result;
  };
  // Results on their way to the gateway's thread, which may outlive this by a turn of the loop.
  struct Outbox {
    std::mutex mutex;
    std::vector<Told> told;
    std::shared_ptr<Standing> standing;  // null: none is kept
  };
  void run(std::stop_token stop);
  // True: they differ beyond noise.
  bool judge(Pair& pair);
  void tell(Told told);

  boost::asio::any_io_executor executor_;
  const ComparerSettings settings_;
  const std::shared_ptr<Outbox> outbox_;
  const std::vector<SegmentId> segments_;
  mutable std::mutex mutex_;  // of what follows; held for moments only
  InstanceId shadow_;         // whom the book is about
  DifferenceBook book_;
  std::condition_variable_any wake_;
  std::condition_variable_any pausing_;  // of its own, so that whoever offers wakes nobody who pauses
  std::deque<Pair> waiting_;
  std::size_t waiting_bytes_ = 0;
  std::jthread thread_;
};

}  // namespace foreshadow::kinds::http
