#include "observe/series_store.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <thread>

#include "support/temp_dir.hpp"

namespace foreshadow::observe {
namespace {

using foreshadow::testing::TempDir;

Time at(std::int64_t ms) { return time_from_ms(1'700'000'000'000 + ms); }

std::unique_ptr<SeriesStore> open(const std::string& path, SeriesStoreSettings settings = {}) {
  settings.path = path;
  auto store = SeriesStore::open(settings);
  EXPECT_TRUE(store) << store.error().what;
  return std::move(*store);
}

void put(SeriesStore& store, std::int64_t ms, double value, const std::string& signal = "m",
         const std::string& instance = "a") {
  const Reading reading{instance, signal, value};
  store.append("shop", {&reading, 1}, at(ms), at(ms));
}

const Signal* find(const Window& window, const std::string& name, const std::string& instance = "a") {
  for (const auto& s : window.signals)
    if (s.name == name && s.instance == instance) return &s;
  return nullptr;
}

TEST(SeriesStore, a_window_has_the_span_the_limits_and_what_is_stale) {
  const auto store = open("");
  store->watch("shop",
               {.stale_after = Millis{2000},
                .signals = {{"m", Limit{100, Direction::rising, true}}, {"disk", Limit{5, Direction::falling, true}}}});
  for (int i = 0; i <= 40; ++i) put(*store, i * 250, i);
  put(*store, 10'000, 7, "free");
  put(*store, 7'000, 8, "quiet");
  put(*store, 10'000, 1, "m", "stranger");
  const auto window = store->window("shop", "a", std::nullopt, at(10'000), Millis{5000});
  EXPECT_EQ(window.current, "a");
  EXPECT_EQ(window.at, at(10'000));
  const auto* m = find(window, "m");
  ASSERT_TRUE(m);
  EXPECT_EQ(m->samples.size(), 21U);
  EXPECT_EQ(m->samples.front().at, at(5000));
  EXPECT_EQ(m->limit->value, 100);
  EXPECT_FALSE(m->stale);
  EXPECT_FALSE(find(window, "free")->limit);
  EXPECT_TRUE(find(window, "quiet")->stale);
  // A limit that was never seen is told as unknown, not left out.
  ASSERT_TRUE(find(window, "disk"));
  EXPECT_TRUE(find(window, "disk")->stale);
  EXPECT_TRUE(find(window, "disk")->samples.empty());
  EXPECT_FALSE(find(window, "m", "stranger"));
  EXPECT_TRUE(store->window("other", "a", std::nullopt, at(10'000), Millis{5000}).signals.empty());
}

TEST(SeriesStore, the_future_of_a_window_is_not_in_it) {
  const auto store = open("");
  for (int i = 0; i < 10; ++i) put(*store, i * 1000, i);
  const auto window = store->window("shop", "a", std::nullopt, at(4500), Millis{60'000});
  EXPECT_EQ(find(window, "m")->samples.size(), 5U);
  EXPECT_FALSE(find(window, "m")->stale);
}

TEST(SeriesStore, a_shadow_is_told_once_it_shows_anything) {
  const auto store = open("");
  store->watch("shop", {.stale_after = Millis{2000}, .signals = {{"m", Limit{100, Direction::rising, true}}}});
  put(*store, 0, 1);
  EXPECT_EQ(store->window("shop", "a", "b", at(0), Millis{1000}).signals.size(), 1U);
  put(*store, 0, 1, "process_threads", "b");
  const auto window = store->window("shop", "a", "b", at(0), Millis{1000});
  EXPECT_TRUE(find(window, "process_threads", "b"));
  EXPECT_TRUE(find(window, "m", "b")->stale);
}

TEST(SeriesStore, bad_samples_are_counted_and_kept_out) {
  const auto store = open("", {.series_max = 2});
  put(*store, 1000, 1);
  put(*store, 1000, 2);
  put(*store, 500, 2);
  put(*store, 1250, std::numeric_limits<double>::quiet_NaN());
  put(*store, 1250, std::numeric_limits<double>::infinity());
  const Reading early{"a", "m", 3.0}, none{"a", "m", std::nullopt};
  store->append("shop", {&early, 1}, at(99'000), at(1250));
  store->append("shop", {&none, 1}, at(1250), at(1250));
  put(*store, 1000, 1, "n");
  put(*store, 1000, 1, "o");
  const auto c = store->counters();
  EXPECT_EQ(c.accepted, 2U);
  EXPECT_EQ(c.out_of_order, 2U);
  EXPECT_EQ(c.not_finite, 2U);
  EXPECT_EQ(c.future, 1U);
  EXPECT_EQ(c.too_many_series, 1U);
  EXPECT_EQ(c.series, 2U);
  EXPECT_EQ(store->latest("shop", "a", "m"), (Sample{at(1000), 1}));
  EXPECT_FALSE(store->latest("shop", "a", "o"));
}

TEST(SeriesStore, memory_is_bounded_and_the_file_remembers_more) {
  TempDir dir;
  const auto store = open(dir.path() + "/series.db", {.samples_max = 10});
  for (int i = 0; i < 100; ++i) put(*store, i * 100, i);
  EXPECT_EQ(find(store->window("shop", "a", std::nullopt, at(9900), Millis{60'000}), "m")->samples.size(), 10U);
  const auto history = store->history("shop", "a", "m", at(0), at(4950));
  ASSERT_TRUE(history) << history.error().what;
  EXPECT_EQ(history->size(), 50U);
  EXPECT_EQ(history->back(), (Sample{at(4900), 49}));
}

TEST(SeriesStore, a_restart_remembers) {
  TempDir dir;
  const auto path = dir.path() + "/deeper/series.db";
  {
    const auto store = open(path);
    for (int i = 0; i < 50; ++i) put(*store, i * 100, i);
    put(*store, 4900, 5, "request_rate{segment=\"orders\"}");
  }
  const auto store = open(path, {.samples_max = 20});
  const auto window = store->window("shop", "a", std::nullopt, at(4900), Millis{60'000});
  ASSERT_TRUE(find(window, "m"));
  EXPECT_EQ(find(window, "m")->samples.size(), 20U);
  EXPECT_EQ(find(window, "m")->samples.back(), (Sample{at(4900), 49}));
  EXPECT_TRUE(find(window, "request_rate{segment=\"orders\"}"));
  put(*store, 4900, 99);  // what it remembers also guards the order
  EXPECT_EQ(store->counters().out_of_order, 1U);
}

TEST(SeriesStore, retention_prunes_memory_and_file) {
  TempDir dir;
  const auto store = open(dir.path() + "/series.db", {.retention = Millis{10'000}});
  for (int i = 0; i <= 100; ++i) put(*store, i * 1000, i);
  put(*store, 0, 1, "old");
  store->prune(at(100'000));
  EXPECT_EQ(store->history("shop", "a", "m", at(0), at(200'000))->size(), 11U);
  EXPECT_EQ(store->counters().series, 1U);
  EXPECT_FALSE(store->latest("shop", "a", "old"));
}

TEST(SeriesStore, a_damaged_file_is_moved_aside) {
  TempDir dir;
  const auto path = dir.path() + "/series.db";
  {
    const auto store = open(path);
    for (int i = 0; i < 5000; ++i) put(*store, i * 100, i);
  }
  const auto size = std::filesystem::file_size(path);
  ASSERT_GT(size, 8192U);
  {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(4096);
    file << std::string(size - 4096, '\x55');
  }
  const auto store = open(path);
  put(*store, 1'000'000, 1);
  EXPECT_EQ(store->history("shop", "a", "m", at(0), at(2'000'000))->size(), 1U);
  EXPECT_TRUE(std::filesystem::exists(path + ".damaged"));
}

TEST(SeriesStore, a_file_that_is_no_database_or_of_a_newer_version_is_moved_aside) {
  TempDir dir;
  const auto path = dir.path() + "/series.db";
  std::ofstream(path) << "this is not a database, but long enough that SQLite looks at it closely: "
                      << std::string(4096, 'x');
  const auto store = open(path);
  put(*store, 0, 1);
  EXPECT_EQ(store->history("shop", "a", "m", at(0), at(1))->size(), 1U);
  EXPECT_TRUE(std::filesystem::exists(path + ".damaged"));
}

TEST(SeriesStore, a_file_that_cannot_be_had_leaves_memory) {
  TempDir dir;
  const auto path = dir.path() + "/series.db";
  std::filesystem::create_directory(path);
  const auto store = open(path);
  put(*store, 0, 1);
  store->flush();
  EXPECT_EQ(store->counters().unsaved, 1U);
  EXPECT_EQ(store->latest("shop", "a", "m"), (Sample{at(0), 1}));
  EXPECT_EQ(store->history("shop", "a", "m", at(0), at(1))->size(), 1U);
}

TEST(SeriesStore, may_be_used_from_many_threads) {
  TempDir dir;
  const auto store = open(dir.path() + "/series.db", {.flush_every = Millis{5}});
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      for (int i = 0; i < 500; ++i) {
        put(*store, i, i, "m" + std::to_string(t));
        if (i % 50 == 0) (void)store->window("shop", "a", std::nullopt, at(i), Millis{1000});
      }
    });
  for (auto& thread : threads) thread.join();
  for (int t = 0; t < 4; ++t)
    EXPECT_EQ(store->history("shop", "a", "m" + std::to_string(t), at(0), at(1000))->size(), 500U);
  EXPECT_EQ(store->counters().unsaved, 0U);
}

}  // namespace
}  // namespace foreshadow::observe
