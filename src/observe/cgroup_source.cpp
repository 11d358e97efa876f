#include "observe/cgroup_source.hpp"

#include <fmt/format.h>

#include <chrono>
#include <utility>

#include "io/files.hpp"
#include "observe/procfs.hpp"
#include "observe/rate_meter.hpp"

namespace foreshadow::observe {
namespace {

// Version 1 writes "unlimited" as the largest page-aligned number; nobody has this much memory.
constexpr std::uint64_t unlimited = 1ULL << 60;

class CgroupSource : public Source {
 public:
  CgroupSource(InstanceId instance, std::string directory) : id_(std::move(instance)), dir_(std::move(directory)) {}

  std::string name() const override { return "cgroup:" + id_; }

  Result<std::vector<Reading>> scrape(std::stop_token) override {
    const auto stat = text("memory.stat");
    std::vector<Reading> out;
    const auto add = [&](const char* signal, std::optional<double> value) {
      if (value) out.push_back({id_, signal, value});
    };
    if (const auto usage = value("memory.current")) {
      add("cgroup_memory_usage_bytes", working_set(*usage, find_number(stat, "inactive_file")));
      add("cgroup_memory_limit_bytes", limit(value("memory.max")));
      add("cgroup_oom_kills", as_double(find_number(text("memory.events"), "oom_kill")));
    } else if (const auto usage = value("memory.usage_in_bytes")) {
      add("cgroup_memory_usage_bytes", working_set(*usage, find_number(stat, "total_inactive_file")));
      add("cgroup_memory_limit_bytes", limit(value("memory.limit_in_bytes")));
      add("cgroup_oom_kills", as_double(find_number(text("memory.oom_control"), "oom_kill")));
    }
    if (const auto used = cpu_seconds()) add("cgroup_cpu_seconds_rate", cpu_.update(0, *used, Clock::now()));
    if (out.empty() && !io::read_file(dir_ + "/cgroup.procs"))
      return fail(Code::unreachable, fmt::format("{} is not a control group", dir_));
    return out;
  }

 private:
  using Clock = std::chrono::steady_clock;

  std::string text(const char* file) const { return io::read_file(dir_ + "/" + file).value_or(""); }
  std::optional<std::uint64_t> value(const char* file) const { return parse_number(text(file)); }
  static std::optional<double> as_double(std::optional<std::uint64_t> v) {
    if (!v) return std::nullopt;
    return static_cast<double>(*v);
  }
  static double working_set(std::uint64_t usage, std::optional<std::uint64_t> inactive) {
    return static_cast<double>(usage - std::min(usage, inactive.value_or(0)));
  }
  static std::optional<double> limit(std::optional<std::uint64_t> v) {
    if (!v || *v >= unlimited) return std::nullopt;
    return static_cast<double>(*v);
  }
  // Version 1 accounts CPU in a tree of its own, usually mounted beside the memory controller's under the same name.
  std::optional<double> cpu_seconds() const {
    if (const auto us = find_number(text("cpu.stat"), "usage_usec")) return static_cast<double>(*us) / 1e6;
    if (const auto ns = value("cpuacct.usage")) return static_cast<double>(*ns) / 1e9;
    if (const auto at = dir_.find("/memory/"); at != std::string::npos) {
      const auto beside = dir_.substr(0, at) + "/cpuacct/" + dir_.substr(at + 8) + "/cpuacct.usage";
      if (const auto ns = parse_number(io::read_file(beside).value_or(""))) return static_cast<double>(*ns) / 1e9;
    }
    return std::nullopt;
  }

  InstanceId id_;
  std::string dir_;
  RateMeter cpu_;
};

}  // namespace

std::unique_ptr<Source> cgroup_source(InstanceId instance, std::string directory) {
  return std::make_unique<CgroupSource>(std::move(instance), std::move(directory));
}

}  // namespace foreshadow::observe
