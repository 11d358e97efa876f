// The state file of a gateway, on a disk that fails, through crashes, and while somebody reads it.
#include "proxy/gate_store.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <thread>

#include "io/files.hpp"
#include "proxy/gate_slots.hpp"
#include "proxy/tables.hpp"
#include "support/disk.hpp"
#include "support/temp_dir.hpp"

namespace foreshadow::proxy {
namespace {

using foreshadow::testing::FailingDisk;
using foreshadow::testing::PowerCuts;
using foreshadow::testing::syncs;
using testing::table;

// Sealed for the epoch after `epoch`.
GateState sealed(std::uint64_t epoch, const ResourceId& resource = "shop") {
  GateState state;
  state.table = table(epoch, 1);
  state.table.resource = resource;
  state.term = 3;
  state.seal = SealRecord{epoch + 1, Millis{5000}};
  return state;
}

struct GateStoreTest : ::testing::Test {
  foreshadow::testing::TempDir dir;
  const std::string file = dir / "gateway-edge.json";

  GateStore open() {
    auto store = GateStore::open(file);
    EXPECT_TRUE(store) << store.error().what;
    return std::move(store.value());
  }
  std::string content() { return *io::read_file(file, 1 << 20); }
  // What a gateway finds that starts with this file.
  std::optional<GateState> found(const std::string& bytes) {
    const auto path = dir / "found";
    EXPECT_TRUE(io::write_file_durably(path, bytes));
    const auto store = GateStore::open(path);
    EXPECT_TRUE(store) << store.error().what;
    return store ? store->find("shop") : std::nullopt;
  }
};

TEST_F(GateStoreTest, what_was_saved_is_found_and_costs_one_sync) {
  auto store = open();
  ASSERT_TRUE(store.prepare());
  EXPECT_FALSE(open().find("shop")) << "prepared is still empty";
  for (std::uint64_t epoch = 1; epoch <= 20; ++epoch) {
    const int before = syncs().count;
    ASSERT_TRUE(store.save("shop", sealed(epoch)));
    EXPECT_EQ(syncs().count, before + 1) << epoch;
    EXPECT_EQ(open().find("shop"), sealed(epoch));
  }
  struct stat st{};
  ASSERT_EQ(::stat(file.c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 0777, 0600u);
}

TEST_F(GateStoreTest, a_process_builds_only_on_what_it_has_synced_itself) {
  ASSERT_TRUE(open().save("shop", sealed(1)));
  const auto before = std::filesystem::file_size(file);
  struct stat first{}, second{};
  ASSERT_EQ(::stat(file.c_str(), &first), 0);
  auto store = open();
  ASSERT_TRUE(store.save("ledger", sealed(2, "ledger")));
  ASSERT_EQ(::stat(file.c_str(), &second), 0);
  EXPECT_NE(first.st_ino, second.st_ino) << "the kernel may have shown what the disk has not got";
  EXPECT_EQ(std::filesystem::file_size(file), before);
  EXPECT_EQ(open().find("shop"), sealed(1)) << "what is not configured any more is kept";
  EXPECT_EQ(open().find("ledger"), sealed(2, "ledger"));
}

TEST_F(GateStoreTest, the_file_of_an_older_version_is_read_once_and_left_behind) {
  ASSERT_TRUE(io::write_file_durably(file, encode_states({{"shop", sealed(4)}})));
  EXPECT_EQ(open().find("shop"), sealed(4));
  EXPECT_TRUE(content().starts_with('{')) << "looking changes nothing";
  auto store = open();
  ASSERT_TRUE(store.prepare());
  EXPECT_TRUE(content().starts_with("foreshadow-slot 1 "));
  EXPECT_EQ(open().find("shop"), sealed(4));
  EXPECT_FALSE(decode_states(content())) << "the older version refuses it rather than starting without the seal";
}

TEST_F(GateStoreTest, a_power_cut_leaves_what_was_acknowledged_or_what_was_being_written) {
  auto store = open();
  ASSERT_TRUE(store.save("shop", sealed(1)));
  std::uint64_t acknowledged = 1, asked = 1;
  PowerCuts cuts(file, [&](const std::string& bytes) {
    const auto path = dir / "cut";
    std::filesystem::remove(path);
    {
      std::FILE* out = std::fopen(path.c_str(), "wb");
      std::fwrite(bytes.data(), 1, bytes.size(), out);
      std::fclose(out);
    }
    const auto opened = GateStore::open(path);
    ASSERT_TRUE(opened) << opened.error().what;
    const auto state = opened->find("shop");
    ASSERT_TRUE(state);
    EXPECT_TRUE(*state == sealed(acknowledged) || *state == sealed(asked)) << state->table.epoch;
  });
  const auto save = [&](GateStore& to, std::uint64_t epoch) {
    asked = epoch;
    ASSERT_TRUE(to.save("shop", sealed(epoch)));
    acknowledged = epoch;
    cuts.look();
  };
  for (std::uint64_t epoch = 2; epoch < 16; ++epoch) save(store, epoch);
  auto next = open();
  for (std::uint64_t epoch = 16; epoch < 24; ++epoch) save(next, epoch);
  EXPECT_GT(cuts.states(), 150);
}

TEST_F(GateStoreTest, a_sync_that_fails_acknowledges_nothing_and_changes_nothing) {
  auto store = open();
  ASSERT_TRUE(store.save("shop", sealed(1)));
  ASSERT_TRUE(store.save("shop", sealed(2)));
  for (int again = 0; again < 3; ++again) {
    FailingDisk failing;
    const auto saved = store.save("shop", sealed(3));
    ASSERT_FALSE(saved);
    EXPECT_EQ(saved.error().code, Code::io);
    EXPECT_EQ(store.find("shop"), sealed(2));
    EXPECT_EQ(open().find("shop"), sealed(2)) << "as the kernel shows it";
  }
  // The disk is well again, but what the failed sync left in that file is not built on.
  struct stat before{}, after{};
  ASSERT_EQ(::stat(file.c_str(), &before), 0);
  ASSERT_TRUE(store.save("shop", sealed(4)));
  ASSERT_EQ(::stat(file.c_str(), &after), 0);
  EXPECT_NE(before.st_ino, after.st_ino);
  EXPECT_EQ(open().find("shop"), sealed(4));
}

TEST_F(GateStoreTest, a_disk_that_fails_at_the_start_is_tried_again) {
  auto store = open();
  {
    FailingDisk failing;
    EXPECT_FALSE(store.prepare());
    EXPECT_FALSE(store.save("shop", sealed(1)));
  }
  ASSERT_TRUE(store.save("shop", sealed(2)));
  EXPECT_EQ(open().find("shop"), sealed(2));
}

TEST_F(GateStoreTest, a_file_that_was_moved_away_is_not_written_to) {
  auto store = open();
  ASSERT_TRUE(store.save("shop", sealed(1)));
  std::filesystem::rename(file, file + ".aside");
  ASSERT_TRUE(store.save("shop", sealed(2)));
  EXPECT_EQ(open().find("shop"), sealed(2));
  EXPECT_EQ(GateStore::open(file + ".aside")->find("shop"), sealed(1));
  // Somebody puts the other one back while it runs.
  std::filesystem::rename(file + ".aside", file);
  ASSERT_TRUE(store.save("shop", sealed(3)));
  EXPECT_EQ(open().find("shop"), sealed(3));
}

TEST_F(GateStoreTest, it_grows_with_what_it_holds) {
  auto store = open();
  for (int i = 0; i < 60; ++i) {
    const auto resource = "shop" + std::to_string(i);
    ASSERT_TRUE(store.save(resource, sealed(1, resource)));
  }
  const auto again = open();
  for (int i = 0; i < 60; ++i) EXPECT_TRUE(again.find("shop" + std::to_string(i))) << i;
}

TEST_F(GateStoreTest, either_slot_may_be_lost_but_not_both) {
  auto store = open();
  ASSERT_TRUE(store.save("shop", sealed(1)));
  ASSERT_TRUE(store.save("shop", sealed(2)));
  const auto whole = content();
  const auto half = whole.size() / 2;
  EXPECT_EQ(found(std::string(whole).replace(0, half, half, '\0')), sealed(2));
  EXPECT_EQ(found(std::string(whole).replace(half, half, half, '\0')), sealed(2));
  ASSERT_TRUE(io::write_file_durably(file, std::string(whole.size(), '\0')));
  const auto refused = GateStore::open(file);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::corrupt);
  EXPECT_NE(refused.error().what.find("move the file aside"), std::string::npos) << refused.error().what;
  ASSERT_TRUE(io::write_file_durably(file, ""));
  EXPECT_EQ(GateStore::open(file).error().code, Code::corrupt) << "an empty file is not an empty store";
}

TEST_F(GateStoreTest, who_looks_while_it_is_written_sees_one_state_or_the_next) {
  auto store = open();
  ASSERT_TRUE(store.save("shop", sealed(1)));
  std::atomic<std::uint64_t> saved{1};
  std::atomic<bool> stop{false};
  std::thread reader([&] {
    while (!stop) {
      const auto before = saved.load();
      const auto seen = GateStore::open(file);
      ASSERT_TRUE(seen) << seen.error().what;
      ASSERT_TRUE(seen->find("shop"));
      EXPECT_GE(seen->find("shop")->table.epoch, before);
    }
  });
  for (std::uint64_t epoch = 2; epoch < 500; ++epoch) {
    ASSERT_TRUE(store.save("shop", sealed(epoch)));
    saved = epoch;
  }
  stop = true;
  reader.join();
}

// A gateway that saves for ever, telling its parent each acknowledged epoch.
[[noreturn]] void save_until_killed(const std::string& file, std::uint64_t from, int pipe) {
  auto store = GateStore::open(file);
  if (!store) ::_exit(1);
  for (std::uint64_t epoch = from;; ++epoch) {
    if (!store->save("shop", sealed(epoch))) ::_exit(2);
    if (::write(pipe, &epoch, sizeof epoch) != sizeof epoch) ::_exit(3);
  }
}

TEST_F(GateStoreTest, killed_at_any_moment_it_keeps_what_it_acknowledged) {
  Random random(42);
  std::uint64_t acknowledged = 0;
  for (int round = 0; round < 30; ++round) {
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    const pid_t child = ::fork();
    if (child == 0) save_until_killed(file, acknowledged + 1, ends[1]);
    ::close(ends[1]);
    std::uint64_t epoch = 0;
    for (auto wanted = 1 + random.below(20); wanted > 0 && ::read(ends[0], &epoch, sizeof epoch) == sizeof epoch;
         --wanted)
      acknowledged = epoch;
    // Somewhere in the middle of the next ones.
    const auto spin = std::chrono::steady_clock::now() + std::chrono::microseconds(random.below(1000));
    while (std::chrono::steady_clock::now() < spin) {
    }
    ::kill(child, SIGKILL);
    int status = 0;
    ::waitpid(child, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the writer failed by itself with " << WEXITSTATUS(status);
    while (::read(ends[0], &epoch, sizeof epoch) == sizeof epoch) acknowledged = epoch;
    ::close(ends[0]);
    const auto state = open().find("shop");
    ASSERT_TRUE(state);
    EXPECT_GE(state->table.epoch, acknowledged);
    EXPECT_LE(state->table.epoch, acknowledged + 1);
    acknowledged = state->table.epoch;
  }
}

}  // namespace
}  // namespace foreshadow::proxy
