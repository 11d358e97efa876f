// The kernel's sources on real processes, files and sockets.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <ctime>
#include <fstream>
#include <functional>
#include <optional>
#include <thread>

#include "observe/cgroup_source.hpp"
#include "observe/http_probe_source.hpp"
#include "observe/process_source.hpp"
#include "observe/volume_source.hpp"
#include "support/eventually.hpp"
#include "support/temp_dir.hpp"

namespace foreshadow::observe {
namespace {

using foreshadow::testing::eventually;
using foreshadow::testing::TempDir;

std::optional<double> value_of(const Result<std::vector<Reading>>& readings, const std::string& signal) {
  if (!readings) return std::nullopt;
  for (const auto& r : *readings)
    if (r.signal == signal) return r.value;
  return std::nullopt;
}

void write(const std::string& path, const std::string& text) { std::ofstream(path) << text; }

// A child that does `body` and then waits to be killed; killed and reaped at the end of scope.
class Child {
 public:
  explicit Child(const std::function<void()>& body) {
    int ready[2];
    EXPECT_EQ(::pipe(ready), 0);
    pid_ = ::fork();
    if (pid_ == 0) {
      body();
      const char one = 1;
      if (::write(ready[1], &one, 1) != 1) ::_exit(1);
      for (;;) ::pause();
    }
    char one = 0;
    EXPECT_EQ(::read(ready[0], &one, 1), 1);
    ::close(ready[0]);
    ::close(ready[1]);
  }
  ~Child() { reap(); }
  void kill() const { ::kill(pid_, SIGKILL); }
  void reap() {
    if (pid_ <= 0) return;
    kill();
    ::waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }
  pid_t pid() const { return pid_; }

 private:
  pid_t pid_ = 0;
};

Instance instance_with(const std::string& pid_file) {
  Instance instance;
  instance.id = "shop-a";
  instance.pid_file = pid_file;
  return instance;
}

TEST(ProcessSource, reads_a_live_process) {
  TempDir dir;
  Child child([] {
    auto* bytes = static_cast<volatile char*>(std::malloc(32 << 20));
    for (int i = 0; i < (32 << 20); i += 4096) bytes[i] = 1;
  });
  write(dir.path() + "/pid", std::to_string(child.pid()) + "\n");
  const auto source = process_source(instance_with(dir.path() + "/pid"));
  const auto first = source->scrape({});
  EXPECT_EQ(value_of(first, "process_up"), 1);
  EXPECT_GT(value_of(first, "process_resident_memory_bytes").value_or(0), 32 << 20);
  EXPECT_GE(value_of(first, "process_open_fds").value_or(0), 1);
  EXPECT_EQ(value_of(first, "process_threads"), 1);
  EXPECT_GT(value_of(first, "process_open_fds_max").value_or(0), 10);
  EXPECT_FALSE(value_of(first, "process_cpu_seconds_rate"));  // one look is no rate
  const auto second = source->scrape({});
  EXPECT_GE(value_of(second, "process_cpu_seconds_rate").value_or(-1), 0);
  for (const auto& r : *second) EXPECT_EQ(r.instance, "shop-a");
}

TEST(ProcessSource, cpu_rate_is_the_processor_time_over_the_time) {
  TempDir dir;
  write(dir.path() + "/pid", std::to_string(::getpid()));
  const auto source = process_source(instance_with(dir.path() + "/pid"));
  (void)source->scrape({});
  const auto began = std::chrono::steady_clock::now();
  const auto used_before = std::clock();
  volatile double x = 0;
  while (std::clock() - used_before < CLOCKS_PER_SEC / 5) x = x + 1;
  const auto rate = value_of(source->scrape({}), "process_cpu_seconds_rate");
  const double used = static_cast<double>(std::clock() - used_before) / CLOCKS_PER_SEC;
  const double took = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  ASSERT_TRUE(rate);
  // The kernel tells it in ticks of 10 ms.
  EXPECT_NEAR(*rate * took, used, 0.06);
}

TEST(ProcessSource, sees_a_death_and_a_restart) {
  TempDir dir;
  const auto pid_file = dir.path() + "/pid";
  const auto source = process_source(instance_with(pid_file));
  EXPECT_FALSE(source->scrape({}));  // no pid file: unknown, not dead
  {
    Child child([] {});
    write(pid_file, std::to_string(child.pid()));
    EXPECT_EQ(value_of(source->scrape({}), "process_up"), 1);
    child.kill();
    // Killed but not yet reaped it is a zombie, which serves nobody.
    EXPECT_TRUE(eventually([&] { return value_of(source->scrape({}), "process_up") == 0; }));
  }
  const auto gone = source->scrape({});
  EXPECT_EQ(value_of(gone, "process_up"), 0);
  EXPECT_EQ(gone->size(), 1U);
  Child next([] {});
  write(pid_file, std::to_string(next.pid()));
  EXPECT_EQ(value_of(source->scrape({}), "process_up"), 1);
}

// A proc tree of our own making, to give a number to another process.
void write_process(const std::string& root, int pid, int ppid, int start, int ticks, int private_kib, int shared_kib,
                   const std::string& children = "") {
  const auto dir = root + "/" + std::to_string(pid);
  std::filesystem::create_directories(dir + "/task/" + std::to_string(pid));
  write(dir + "/stat", std::to_string(pid) + " (x) S " + std::to_string(ppid) + " 1 1 0 -1 4 0 0 0 0 " +
                           std::to_string(ticks) + " 0 0 0 20 0 1 0 " + std::to_string(start) + " 0 0");
  write(dir + "/status", "VmRSS: " + std::to_string(private_kib + shared_kib) +
                             " kB\nRssAnon: " + std::to_string(private_kib) +
                             " kB\nRssFile: 0 kB\nRssShmem: " + std::to_string(shared_kib) + " kB\n");
  write(dir + "/task/" + std::to_string(pid) + "/children", children);
}

TEST(ProcessSource, another_process_with_the_same_number_is_not_ours) {
  TempDir dir;
  const auto root = dir.path() + "/proc";
  write_process(root, 42, 1, 1000, 0, 10, 0);
  write(dir.path() + "/pid", "42");
  const auto source = process_source(instance_with(dir.path() + "/pid"), {.tree = false, .proc_root = root});
  EXPECT_EQ(value_of(source->scrape({}), "process_up"), 1);
  write_process(root, 42, 1, 2000, 0, 10, 0);
  EXPECT_EQ(value_of(source->scrape({}), "process_up"), 0);
  EXPECT_EQ(value_of(source->scrape({}), "process_up"), 0);  // and it stays so
  std::filesystem::remove(dir.path() + "/pid");
  write(dir.path() + "/pid", "42");  // named anew
  EXPECT_EQ(value_of(source->scrape({}), "process_up"), 1);
}

TEST(ProcessSource, a_tree_counts_shared_memory_once) {
  TempDir dir;
  const auto root = dir.path() + "/proc";
  write_process(root, 10, 1, 100, 5, 1000, 8000, "11 12 ");
  write_process(root, 11, 10, 101, 5, 2000, 8000);
  write_process(root, 12, 10, 102, 5, 3000, 6000, "13");
  write_process(root, 13, 12, 103, 5, 4000, 0);
  write_process(root, 99, 1, 104, 5, 50000, 0);
  write(dir.path() + "/pid", "10\n/data\n");
  for (const bool listed : {true, false}) {
    if (!listed)  // a kernel without children files
      for (const int pid : {10, 11, 12, 13, 99})
        std::filesystem::remove(root + "/" + std::to_string(pid) + "/task/" + std::to_string(pid) + "/children");
    const auto source = process_source(instance_with(dir.path() + "/pid"), {.tree = true, .proc_root = root});
    const auto readings = source->scrape({});
    EXPECT_EQ(value_of(readings, "process_resident_memory_bytes"), (1000 + 2000 + 3000 + 4000 + 8000) * 1024.0);
    EXPECT_EQ(value_of(readings, "process_threads"), 4);
  }
}

TEST(ProcessSource, says_what_is_wrong_with_its_settings) {
  TempDir dir;
  EXPECT_EQ(process_source(instance_with(""))->scrape({}).error().code, Code::invalid);
  write(dir.path() + "/pid", "not a pid");
  const auto bad = process_source(instance_with(dir.path() + "/pid"))->scrape({});
  EXPECT_EQ(bad.error().code, Code::invalid);
  EXPECT_NE(bad.error().what.find(dir.path() + "/pid"), std::string::npos);
  Instance by_attribute;
  by_attribute.id = "a";
  by_attribute.attributes["pid"] = std::to_string(::getpid());
  EXPECT_EQ(value_of(process_source(by_attribute)->scrape({}), "process_up"), 1);
}

TEST(CgroupSource, version_2) {
  TempDir dir;
  const auto file = [&](const char* name) { return dir.path() + "/" + name; };
  write(file("memory.current"), "1000000\n");
  write(file("memory.max"), "max\n");
  write(file("memory.stat"), "anon 600000\nfile 400000\ninactive_file 300000\n");
  write(file("memory.events"), "low 0\noom 3\noom_kill 2\n");
  write(file("cpu.stat"), "usage_usec 5000000\nuser_usec 1\n");
  const auto source = cgroup_source("a", dir.path());
  auto readings = source->scrape({});
  EXPECT_EQ(value_of(readings, "cgroup_memory_usage_bytes"), 700000);
  EXPECT_FALSE(value_of(readings, "cgroup_memory_limit_bytes"));
  EXPECT_EQ(value_of(readings, "cgroup_oom_kills"), 2);
  write(file("memory.max"), "2000000\n");
  write(file("cpu.stat"), "usage_usec 5100000\n");
  readings = source->scrape({});
  EXPECT_EQ(value_of(readings, "cgroup_memory_limit_bytes"), 2000000);
  EXPECT_GT(value_of(readings, "cgroup_cpu_seconds_rate").value_or(0), 0);
}

TEST(CgroupSource, version_1) {
  TempDir dir;
  const auto group = dir.path() + "/memory/shop", beside = dir.path() + "/cpuacct/shop";
  std::filesystem::create_directories(group);
  std::filesystem::create_directories(beside);
  write(group + "/memory.usage_in_bytes", "1000000\n");
  write(group + "/memory.limit_in_bytes", "9223372036854771712\n");
  write(group + "/memory.stat", "inactive_file 1\ntotal_inactive_file 250000\n");
  write(group + "/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n");
  write(beside + "/cpuacct.usage", "5000000000\n");
  const auto source = cgroup_source("a", group);
  auto readings = source->scrape({});
  EXPECT_EQ(value_of(readings, "cgroup_memory_usage_bytes"), 750000);
  EXPECT_FALSE(value_of(readings, "cgroup_memory_limit_bytes"));
  EXPECT_EQ(value_of(readings, "cgroup_oom_kills"), 1);
  write(beside + "/cpuacct.usage", "5100000000\n");
  EXPECT_GT(value_of(source->scrape({}), "cgroup_cpu_seconds_rate").value_or(0), 0);
}

TEST(CgroupSource, a_missing_group_is_unreachable) {
  TempDir dir;
  EXPECT_EQ(cgroup_source("a", dir.path() + "/none")->scrape({}).error().code, Code::unreachable);
}

TEST(VolumeSource, reads_and_refuses) {
  TempDir dir;
  const auto readings = volume_source("a", dir.path())->scrape({});
  const auto size = value_of(readings, "volume_size_bytes"), available = value_of(readings, "volume_available_bytes");
  ASSERT_TRUE(size && available);
  EXPECT_GT(*size, 0);
  EXPECT_LE(*available, *size);
  EXPECT_GE(value_of(readings, "volume_used_ratio").value_or(-1), 0);
  EXPECT_LE(value_of(readings, "volume_used_ratio").value_or(2), 1);
  EXPECT_EQ(volume_source("a", dir.path() + "/none")->scrape({}).error().code, Code::unreachable);
}

// Answers each connection with a fixed text; an empty text: accepts and says nothing.
class Listener {
 public:
  explicit Listener(std::string answer) : answer_(std::move(answer)) {
    fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    EXPECT_EQ(::bind(fd_, reinterpret_cast<sockaddr*>(&address), length), 0);
    EXPECT_EQ(::listen(fd_, 16), 0);
    ::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &length);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] {
      for (;;) {
        const int client = ::accept(fd_, nullptr, nullptr);
        if (client < 0 || stopping_) {
          if (client >= 0) ::close(client);
          break;
        }
        char buffer[1024];
        if (answer_.empty()) {
          held_ = client;
          continue;
        }
        (void)!::read(client, buffer, sizeof buffer);
        (void)!::write(client, answer_.data(), answer_.size());
        ::close(client);
      }
    });
  }
  ~Listener() {
    stopping_ = true;
    ::shutdown(fd_, SHUT_RDWR);
    thread_.join();
    if (held_ >= 0) ::close(held_);
    ::close(fd_);
  }
  Endpoint endpoint() const { return {"127.0.0.1", port_}; }

 private:
  std::string answer_;
  int fd_ = -1;
  std::atomic<int> held_ = -1;
  std::atomic<bool> stopping_ = false;
  std::uint16_t port_ = 0;
  std::thread thread_;
};

TEST(HttpProbeSource, up_when_it_answers) {
  Listener listener("HTTP/1.1 204 No Content\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
  const auto readings = http_probe_source("a", listener.endpoint(), "/health", Millis{5000})->scrape({});
  EXPECT_EQ(value_of(readings, "probe_up"), 1);
  EXPECT_GE(value_of(readings, "probe_duration_seconds").value_or(-1), 0);
}

TEST(HttpProbeSource, down_when_it_says_so_or_nothing) {
  Listener failing("HTTP/1.1 503 Sorry\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(value_of(http_probe_source("a", failing.endpoint(), "/", Millis{5000})->scrape({}), "probe_up"), 0);
  Listener silent("");
  const auto slow = http_probe_source("a", silent.endpoint(), "/", Millis{50})->scrape({});
  EXPECT_EQ(value_of(slow, "probe_up"), 0);
  EXPECT_FALSE(value_of(slow, "probe_duration_seconds"));
  Endpoint closed;
  {
    Listener gone("x");
    closed = gone.endpoint();
  }
  EXPECT_EQ(value_of(http_probe_source("a", closed, "/", Millis{2000})->scrape({}), "probe_up"), 0);
}

TEST(HttpProbeSource, what_we_stopped_ourselves_says_nothing) {
  Listener silent("");
  std::stop_source stop;
  std::thread stopper([&] { stop.request_stop(); });
  const auto readings = http_probe_source("a", silent.endpoint(), "/", Millis{10'000})->scrape(stop.get_token());
  stopper.join();
  EXPECT_FALSE(readings);
}

}  // namespace
}  // namespace foreshadow::observe
