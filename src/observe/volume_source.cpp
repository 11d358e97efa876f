#include "observe/volume_source.hpp"

#include <fmt/format.h>
#include <sys/statvfs.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace foreshadow::observe {
namespace {

class VolumeSource : public Source {
 public:
  VolumeSource(InstanceId instance, std::string path) : id_(std::move(instance)), path_(std::move(path)) {}

  std::string name() const override { return "volume:" + id_; }

  Result<std::vector<Reading>> scrape(std::stop_token) override {
    struct statvfs v{};
    if (::statvfs(path_.c_str(), &v) != 0) {
      const int error = errno;
      return fail(error == ENOENT ? Code::unreachable : Code::io, fmt::format("{}: {}", path_, std::strerror(error)));
    }
    const double unit = static_cast<double>(v.f_frsize);
    const double available = unit * static_cast<double>(v.f_bavail);
    const double used = unit * static_cast<double>(v.f_blocks - v.f_bfree);
    std::vector<Reading> out{{id_, "volume_available_bytes", available},
                             {id_, "volume_size_bytes", unit * static_cast<double>(v.f_blocks)}};
    // As df(1) has it: blocks reserved for root count neither as used nor as available.
    if (used + available > 0) out.push_back({id_, "volume_used_ratio", used / (used + available)});
    if (v.f_files > 0)
      out.push_back({id_, "volume_inodes_used_ratio",
                     static_cast<double>(v.f_files - v.f_ffree) / static_cast<double>(v.f_files)});
    return out;
  }

 private:
  InstanceId id_;
  std::string path_;
};

}  // namespace

std::unique_ptr<Source> volume_source(InstanceId instance, std::string path) {
  return std::make_unique<VolumeSource>(std::move(instance), std::move(path));
}

}  // namespace foreshadow::observe
