#include "kinds/tcp/tcp_kind.hpp"

#include <fmt/format.h>

#include "base/log.hpp"
#include "kinds/tcp/options.hpp"
#include "kinds/tcp/probe.hpp"
#include "kinds/tcp/readiness.hpp"
#include "kinds/tcp/tcp_protocol.hpp"
#include "observe/cgroup_source.hpp"
#include "observe/process_source.hpp"
#include "observe/volume_source.hpp"

namespace foreshadow::kinds {
namespace {

using namespace tcp;

class TcpKind final : public Kind {
 public:
  std::string name() const override { return "tcp"; }
  // The old primary is watched although it gets no work: a rollback stays possible meanwhile. A prediction can come
  // true without load (a leak, a disk that fills); with a load ratio of zero it is never refuted.
  KindTraits traits() const override { return {.shares_data = true, .fences = false, .counterfactual = true}; }
  std::vector<OptionInfo> options() const override { return option_infos(); }

  Result<void> check(const Resource& resource, const Options& options) const override {
    FS_CHECK(parse_options(options));
    const auto& host = resource.primary.endpoint.host;
    if (host.empty() || host.front() == '/' || resource.primary.endpoint.port == 0)
      return fail(Code::invalid, "primary: address must be host:port, as in 127.0.0.1:9001");
    for (const auto& segment : resource.segments)
      if (!segment.writes || segment.honours_mirror_mark)
        return fail(Code::invalid,
                    fmt::format("segment {}: a stream of kind tcp may hold anything, and none is mirrored; leave "
                                "segments: out, or write writes: true without honours_mirror_mark",
                                segment.id));
    return {};
  }

  std::vector<std::unique_ptr<observe::Source>> sources(const Instance& instance,
                                                        const Options& options) const override {
    std::vector<std::unique_ptr<observe::Source>> sources;
    const auto attribute = [&](const char* name) {
      const auto found = instance.attributes.find(name);
      return found == instance.attributes.end() ? std::string{} : found->second;
    };
    // A service may well be several processes: what it uses is what all of them use.
    if (!instance.pid_file.empty() || !attribute("pid").empty())
      sources.push_back(observe::process_source(instance, {.tree = true}));
    if (const auto cgroup = attribute("cgroup"); !cgroup.empty())
      sources.push_back(observe::cgroup_source(instance.id, cgroup));
    if (!instance.data_dir.empty()) sources.push_back(observe::volume_source(instance.id, instance.data_dir));
    sources.push_back(probe_source(instance, parse_options(options).value_or(TcpOptions{})));
    return sources;
  }
  std::unique_ptr<act::Replicator> replicator(const Options& options) const override {
    return make_replicator(parse_options(options).value_or(TcpOptions{}));
  }
  std::unique_ptr<act::Promoter> promoter(const Options& options) const override {
    return make_promoter(parse_options(options).value_or(TcpOptions{}));
  }
  std::unique_ptr<proxy::Protocol> protocol(const proxy::ListenerSettings& settings,
                                            boost::asio::any_io_executor executor) const override {
    auto made = make_protocol(settings, std::move(executor));
    if (made) return std::move(*made);
    log::error("{}: {}", settings.resource, made.error().what);
    return nullptr;
  }
};

}  // namespace

std::unique_ptr<Kind> make_tcp_kind() { return std::make_unique<TcpKind>(); }

}  // namespace foreshadow::kinds
