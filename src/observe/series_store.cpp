#include "observe/series_store.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <thread>
#include <utility>

#include "base/log.hpp"
#include "io/files.hpp"
#include "observe/series_file.hpp"

namespace foreshadow::observe {
namespace {

// Attempts to open a file that could not be had are this many flushes apart.
constexpr int reopen_every = 30;

struct Ring {
  std::shared_ptr<const SeriesKey> key;
  std::deque<Sample> samples;
};

class Store : public SeriesStore {
 public:
  explicit Store(SeriesStoreSettings settings) : settings_(std::move(settings)) {}

  ~Store() override {
    {
      std::scoped_lock lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_all();
    if (writer_.joinable()) writer_.join();
  }

  Result<void> start() {
    if (settings_.path.empty()) return {};
    if (const auto slash = settings_.path.rfind('/'); slash != std::string::npos && slash > 0)
      FS_CHECK(io::make_directory(settings_.path.substr(0, slash)));
    open_file(true);
    writer_ = std::thread([this] { write_behind(); });
    return {};
  }

  void append(const ResourceId& resource, std::span<const Reading> readings, Time at, Time now) override {
    std::scoped_lock lock(mutex_);
    for (const auto& reading : readings) {
      if (!reading.value) continue;
      if (!std::isfinite(*reading.value)) {
        ++counters_.not_finite;
        continue;
      }
      if (at > now + settings_.future_max) {
        ++counters_.future;
        continue;
      }
      auto* ring = find_or_add({resource, reading.instance, reading.signal});
      if (!ring) {
        ++counters_.too_many_series;
        continue;
      }
      if (!ring->samples.empty() && at <= ring->samples.back().at) {
        ++counters_.out_of_order;
        continue;
      }
      ring->samples.push_back({at, *reading.value});
      if (ring->samples.size() > settings_.samples_max) ring->samples.pop_front();
      ++counters_.accepted;
      if (!settings_.path.empty()) queue_.push_back({ring->key, {at, *reading.value}});
    }
    if (queue_.size() > settings_.queued_max) {
      const auto excess = queue_.size() - settings_.queued_max;
      queue_.erase(queue_.begin(), queue_.begin() + static_cast<std::ptrdiff_t>(excess));
      counters_.unsaved += excess;
    }
    const auto every = std::max(settings_.retention / 20, Millis{1000});
    if (!pruned_at_) pruned_at_ = now;
    if (now - *pruned_at_ >= every) forget(now);
  }

  void watch(const ResourceId& resource, ResourceSignals signals) override {
    std::scoped_lock lock(mutex_);
    watched_.insert_or_assign(resource, std::move(signals));
  }

  Window window(const ResourceId& resource, const InstanceId& current, const std::optional<InstanceId>& shadow,
                Time now, Millis span) const override {
    std::scoped_lock lock(mutex_);
    Window window{.resource = resource, .at = now, .current = current, .shadow = shadow, .signals = {}, .calendar = {}};
    const auto watched = watched_.find(resource);
    const ResourceSignals none;
    const auto& settings = watched == watched_.end() ? none : watched->second;
    cut(window, settings, current, span, true);
    if (shadow && *shadow != current) cut(window, settings, *shadow, span, false);
    return window;
  }

  std::optional<Sample> latest(const ResourceId& resource, const InstanceId& instance,
                               const std::string& signal) const override {
    std::scoped_lock lock(mutex_);
    const auto it = rings_.find({resource, instance, signal});
    if (it == rings_.end() || it->second.samples.empty()) return std::nullopt;
    return it->second.samples.back();
  }

  Result<std::vector<Sample>> history(const ResourceId& resource, const InstanceId& instance, const std::string& signal,
                                      Time from, Time to) const override {
    drain();
    {
      std::scoped_lock lock(file_mutex_);
      if (file_) return file_->read({resource, instance, signal}, from, to);
    }
    std::scoped_lock lock(mutex_);
    std::vector<Sample> samples;
    if (const auto it = rings_.find({resource, instance, signal}); it != rings_.end())
      std::ranges::copy_if(it->second.samples, std::back_inserter(samples),
                           [&](const Sample& s) { return s.at >= from && s.at <= to; });
    return samples;
  }

  void prune(Time now) override {
    {
      std::scoped_lock lock(mutex_);
      forget(now);
    }
    flush();
  }

  void flush() override { drain(); }

  SeriesCounters counters() const override {
    std::scoped_lock lock(mutex_);
    auto counters = counters_;
    counters.series = rings_.size();
    return counters;
  }

 private:
  void drain() const {
    std::unique_lock lock(mutex_);
    if (!writer_.joinable()) return;
    const auto wanted = ++flush_wanted_;
    wake_.notify_all();
    flushed_.wait(lock, [&] { return flush_done_ >= wanted; });
  }

  Ring* find_or_add(SeriesKey key) {
    if (const auto it = rings_.find(key); it != rings_.end()) return &it->second;
    if (rings_.size() >= settings_.series_max) return nullptr;
    auto shared = std::make_shared<const SeriesKey>(key);
    return &rings_.emplace(std::move(key), Ring{std::move(shared), {}}).first->second;
  }

  void forget(Time now) {
    pruned_at_ = now;
    const auto oldest = now - settings_.retention;
    for (auto& [key, ring] : rings_)
      while (!ring.samples.empty() && ring.samples.front().at < oldest) ring.samples.pop_front();
    std::erase_if(rings_, [](const auto& entry) { return entry.second.samples.empty(); });
    prune_before_ = oldest;
  }

  void cut(Window& window, const ResourceSignals& settings, const InstanceId& instance, Millis span,
           bool expected) const {
    const auto limit_of = [&](const std::string& name) -> std::optional<Limit> {
      const auto it = std::ranges::find(settings.signals, name, &SignalSetting::name);
      return it == settings.signals.end() ? std::nullopt : it->limit;
    };
    const auto begin = window.signals.size();
    for (auto it = rings_.lower_bound({window.resource, instance, ""});
         it != rings_.end() && it->first.resource == window.resource && it->first.instance == instance; ++it) {
      const auto& samples = it->second.samples;
      const auto from = std::ranges::lower_bound(samples, window.at - span, {}, &Sample::at);
      const auto to = std::ranges::upper_bound(samples, window.at, {}, &Sample::at);
      Signal signal{.instance = instance,
                    .name = it->first.signal,
                    .limit = limit_of(it->first.signal),
                    .samples = {},
                    .stale = false};
      if (from < to) signal.samples.assign(from, to);
      if (signal.samples.empty() && !signal.limit) continue;
      signal.stale = to == samples.begin() || window.at - std::prev(to)->at > settings.stale_after;
      window.signals.push_back(std::move(signal));
    }
    if (!expected && window.signals.size() == begin) return;
    for (const auto& setting : settings.signals) {
      if (!setting.limit) continue;
      const auto seen =
          std::ranges::any_of(window.signals.begin() + static_cast<std::ptrdiff_t>(begin), window.signals.end(),
                              [&](const Signal& signal) { return signal.name == setting.name; });
      if (!seen)
        window.signals.push_back(
            {.instance = instance, .name = setting.name, .limit = setting.limit, .samples = {}, .stale = true});
    }
  }

  // Under file_mutex_, or before the writer starts.
  void open_file(bool load) {
    auto file = SeriesFile::open(settings_.path);
    auto usable = file ? Result<void>{} : Result<void>(tl::make_unexpected(file.error()));
    if (usable && load) usable = load_into_memory(*file);
    if (usable) {
      file_ = std::make_unique<SeriesFile>(std::move(*file));
      return;
    }
    file_.reset();
    if (usable.error().code == Code::corrupt) {
      file = tl::make_unexpected(usable.error());  // closed before it is moved
      begin_afresh(usable.error());
    } else {
      log::warn("{}; series are kept in memory only", usable.error().what);
    }
  }

  void begin_afresh(const Error& damage) {
    file_.reset();
    log::warn("{}; moved to {}.damaged, history begins afresh", damage.what, settings_.path);
    if (const auto moved = move_aside(settings_.path); !moved) {
      log::warn("{}; series are kept in memory only", moved.error().what);
      return;
    }
    if (auto file = SeriesFile::open(settings_.path))
      file_ = std::make_unique<SeriesFile>(std::move(*file));
    else
      log::warn("{}; series are kept in memory only", file.error().what);
  }

  Result<void> load_into_memory(SeriesFile& file) {
    return file.load(settings_.retention, settings_.samples_max,
                     [&](const SeriesKey& key, std::vector<Sample> samples) {
                       std::scoped_lock lock(mutex_);
                       if (auto* ring = find_or_add(key)) ring->samples.assign(samples.begin(), samples.end());
                     });
  }

  void write_behind() {
    int until_reopen = reopen_every;
    for (bool last = false; !last;) {
      std::deque<StoredSample> batch;
      std::optional<Time> prune_before;
      std::uint64_t serving = 0;
      {
        std::unique_lock lock(mutex_);
        wake_.wait_for(lock, settings_.flush_every, [&] { return stopping_ || flush_wanted_ > flush_done_; });
        batch.swap(queue_);
        prune_before = std::exchange(prune_before_, std::nullopt);
        serving = flush_wanted_;
        last = stopping_;
      }
      std::uint64_t lost = 0;
      {
        std::scoped_lock lock(file_mutex_);
        if (!file_ && --until_reopen <= 0) {
          until_reopen = reopen_every;
          open_file(false);
        }
        if (!batch.empty()) lost = write({batch.begin(), batch.end()});
        if (file_ && prune_before)
          if (const auto pruned = file_->prune(*prune_before); !pruned) failed(pruned.error());
      }
      std::scoped_lock lock(mutex_);
      counters_.unsaved += lost;
      flush_done_ = serving;
      flushed_.notify_all();
    }
  }

  // Under file_mutex_. How many samples were lost.
  std::uint64_t write(const std::vector<StoredSample>& batch) {
    if (!file_) return batch.size();
    auto done = file_->write(batch);
    if (!done && failed(done.error())) done = file_->write(batch);
    if (done && std::exchange(failing_, false)) log::info("series are written to {} again", settings_.path);
    return done ? 0 : batch.size();
  }

  // True when a fresh file stands ready for another attempt.
  bool failed(const Error& error) {
    if (error.code == Code::corrupt) {
      begin_afresh(error);
      return file_ != nullptr;
    }
    if (!std::exchange(failing_, true)) log::warn("{}; samples stay in memory only for now", error.what);
    return false;
  }

  const SeriesStoreSettings settings_;

  mutable std::mutex mutex_;
  mutable std::condition_variable wake_, flushed_;
  std::map<SeriesKey, Ring> rings_;
  std::map<ResourceId, ResourceSignals> watched_;
  std::deque<StoredSample> queue_;
  SeriesCounters counters_;
  std::optional<Time> pruned_at_;
  std::optional<Time> prune_before_;
  mutable std::uint64_t flush_wanted_ = 0;
  std::uint64_t flush_done_ = 0;
  bool stopping_ = false;

  // Never taken while mutex_ is held: the disk may hang, scrapes must not.
  mutable std::mutex file_mutex_;
  std::unique_ptr<SeriesFile> file_;
  bool failing_ = false;
  std::thread writer_;
};

}  // namespace

Result<std::unique_ptr<SeriesStore>> SeriesStore::open(SeriesStoreSettings settings) {
  auto store = std::make_unique<Store>(std::move(settings));
  FS_CHECK(store->start());
  return store;
}

}  // namespace foreshadow::observe
