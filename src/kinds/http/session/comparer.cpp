#include "kinds/http/session/comparer.hpp"

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <boost/asio/post.hpp>
#include <chrono>
#include <ctime>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/log.hpp"

namespace foreshadow::kinds::http {
namespace {

// Processor time that this thread has used: of waiting for a busy core nobody has had anything.
std::chrono::nanoseconds used_by_thread() {
  timespec used{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
  return std::chrono::seconds{used.tv_sec} + std::chrono::nanoseconds{used.tv_nsec};
}

constexpr std::size_t kRequestShownMax = 256;
// Shorter pauses would cost more than they spare.
constexpr std::chrono::milliseconds kPauseMin{5};

std::size_t bytes_of(const Comparer::Pair& pair) {
  return pair.request.size() + pair.primary.bytes() + pair.shadow.bytes() + (pair.again ? pair.again->bytes() : 0);
}

}  // namespace

Comparer::Work::Work(ComparerSettings of, std::vector<SegmentId> names)
    : settings(std::move(of)),
      segments(std::move(names)),
      book(segments, settings.book),
      thread([this](std::stop_token stop) { run(std::move(stop)); }) {}

Comparer::Comparer(boost::asio::any_io_executor executor, ComparerSettings settings,
                   const std::vector<SegmentId>& segments, std::shared_ptr<Standing> standing)
    : outbox_(std::make_shared<Outbox>(std::move(executor))),
      work_(std::make_shared<Work>(std::move(settings), segments)) {
  // Nothing is compared before the first offer().
  outbox_->standing = std::move(standing);
}

Comparer::Comparer(boost::asio::any_io_executor executor, const Comparer& with)
    : outbox_(std::make_shared<Outbox>(std::move(executor))), work_(with.work_) {
  outbox_->standing = with.outbox_->standing;
}

void Comparer::offer(Pair pair) {
  const auto bytes = bytes_of(pair);
  auto& work = *work_;
  {
    const std::lock_guard lock(work.mutex);
    if (pair.result.shadow != work.shadow) {
      work.shadow = pair.result.shadow;
      work.book = DifferenceBook(work.segments, work.settings.book);
    }
    work.book.took(pair.segment, pair.primary.took, pair.shadow.took);
    if (work.waiting.size() < work.settings.waiting_max &&
        work.waiting_bytes + bytes <= work.settings.waiting_bytes_max) {
      work.waiting_bytes += bytes;
      work.waiting.push_back({std::move(pair), outbox_});
      work.wake.notify_one();
      return;
    }
    work.book.skip(pair.segment, DifferenceBook::Skipped::busy);
  }
  pair.gate->mirrored(pair.segment, pair.result);
}

void Comparer::skip(std::size_t segment) {
  const std::lock_guard lock(work_->mutex);
  work_->book.skip(segment, DifferenceBook::Skipped::no_answer);
}

void Comparer::note_failure(std::size_t segment, const InstanceId& shadow) {
  if (outbox_->standing) outbox_->standing->note(segment, shadow, false, std::chrono::steady_clock::now());
}

nlohmann::json Comparer::differences() const {
  // A copy, because making JSON of it takes longer than the gateway's thread should wait.
  const auto [book, shadow] = [&] {
    const std::lock_guard lock(work_->mutex);
    return std::pair(work_->book, work_->shadow);
  }();
  auto told = book.to_json();
  told["shadow"] = shadow;
  return told;
}

void Comparer::stop() { work_->stop(); }

void Comparer::Work::stop() {
  if (!thread.joinable()) return;
  thread.request_stop();
  thread.join();
}

bool Comparer::Work::judge(Pair& pair) {
  std::optional<Comparison> twice;
  if (pair.again) twice = compare(pair.shadow, *pair.again, settings.compare);
  const auto compared = compare(pair.primary, pair.shadow, settings.compare);
  const auto request = showable(without_values(pair.request), kRequestShownMax);
  const std::lock_guard lock(mutex);
  if (pair.result.shadow != shadow) return pair.result.mismatched;
  if (twice) book.learn(pair.segment, *twice);
  return book.judge(pair.segment, request, compared);
}

void Comparer::tell(const std::shared_ptr<Outbox>& outbox, Told told) {
  {
    const std::lock_guard lock(outbox->mutex);
    outbox->told.push_back(std::move(told));
    // Whoever put the first one in has asked for the loop's attention.
    if (outbox->told.size() > 1) return;
  }
  boost::asio::post(outbox->executor, [outbox] {
    std::vector<Told> all;
    {
      const std::lock_guard lock(outbox->mutex);
      all.swap(outbox->told);
    }
    const auto now = std::chrono::steady_clock::now();
    for (const auto& one : all) {
      one.gate->mirrored(one.segment, one.result);
      if (outbox->standing) outbox->standing->note(one.segment, one.result.shadow, !one.result.mismatched, now);
    }
  });
}

void Comparer::Work::run(std::stop_token stop) {
  constexpr int kLowest = 19;
  setpriority(PRIO_PROCESS, static_cast<id_t>(syscall(SYS_gettid)), kLowest);
  std::chrono::nanoseconds owed{};
  std::unique_lock lock(mutex);
  while (wake.wait(lock, stop, [&] { return !waiting.empty(); })) {
    auto [pair, from] = std::move(waiting.front());
    waiting.pop_front();
    lock.unlock();
    const auto bytes = bytes_of(pair);
    const auto before = used_by_thread();
    try {
      pair.result.mismatched = judge(pair);
    } catch (const std::exception& e) {
      log::error("answers could not be compared: {}", e.what());
    }
    const auto used = used_by_thread() - before;
    tell(from, {pair.gate, pair.segment, std::move(pair.result)});
    lock.lock();
    waiting_bytes -= bytes;
    owed += std::chrono::duration_cast<std::chrono::nanoseconds>(used * (1 / settings.cpu_share_max - 1));
    if (owed >= kPauseMin) pausing.wait_for(lock, stop, std::exchange(owed, {}), [] { return false; });
    if (stop.stop_requested()) return;
  }
}

}  // namespace foreshadow::kinds::http
