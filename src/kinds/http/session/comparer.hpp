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
  // `executor`: the gateway's loop, where gates are told, and `standing`, if there is one (null: none).
  Comparer(boost::asio::any_io_executor executor, ComparerSettings settings, const std::vector<SegmentId>& segments,
           std::shared_ptr<Standing> standing = nullptr);
  // For the loop of another of the gateway's threads: the same book, the same thread that compares, the same limits.
  Comparer(boost::asio::any_io_executor executor, const Comparer& with);
  ~Comparer() = default;
  Comparer(const Comparer&) = delete;
  Comparer& operator=(const Comparer&) = delete;

  // On the loop's thread. Tells the pair's gate later, or at once if it is not compared: then by the class of the
  // status alone. The first pair of another shadow begins the book anew.
  void offer(Pair pair);
  // Nothing to compare: one of the answers is missing.
  void skip(std::size_t segment);
  // The primary answered, and this shadow failed.
  void note_failure(std::size_t segment, const InstanceId& shadow);
  // Any thread.
  nlohmann::json differences() const;
  // Ends the thread, for all who share it; what waits is not compared and not told. To be called before any of their
  // loops goes.
  void stop();

 private:
  struct Told {
    proxy::Gate* gate;
    std::size_t segment;
    proxy::MirrorResult result;
  };
  // Results on their way to the loop's thread, which may outlive this by a turn of the loop.
  struct Outbox {
    explicit Outbox(boost::asio::any_io_executor to) : executor(std::move(to)) {}
    const boost::asio::any_io_executor executor;
    std::mutex mutex;
    std::vector<Told> told;
    std::shared_ptr<Standing> standing;  // null: none is kept
  };
  static void tell(const std::shared_ptr<Outbox>& outbox, Told told);

  struct Waiting {
    Pair pair;
    std::shared_ptr<Outbox> from;
  };
  // What the gateway's threads share.
  struct Work {
    Work(ComparerSettings of, std::vector<SegmentId> names);
    ~Work() { stop(); }
    Work(const Work&) = delete;
    Work& operator=(const Work&) = delete;
    void run(std::stop_token stop);
    // True: they differ beyond noise.
    bool judge(Pair& pair);
    void stop();

    const ComparerSettings settings;
    const std::vector<SegmentId> segments;
    std::mutex mutex;   // of what follows; held for moments only
    InstanceId shadow;  // whom the book is about
    DifferenceBook book;
    std::condition_variable_any wake;
    std::condition_variable_any pausing;  // of its own, so that whoever offers wakes nobody who pauses
    std::deque<Waiting> waiting;
    std::size_t waiting_bytes = 0;
    std::jthread thread;
  };

  const std::shared_ptr<Outbox> outbox_;
  const std::shared_ptr<Work> work_;
};

}  // namespace foreshadow::kinds::http
