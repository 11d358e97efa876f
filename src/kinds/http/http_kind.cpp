#include "kinds/http/http_kind.hpp"

#include "base/log.hpp"
#include "kinds/http/http_protocol.hpp"
#include "kinds/http/options.hpp"
#include "kinds/http/readiness.hpp"
#include "kinds/http/wire/match.hpp"
#include "observe/cgroup_source.hpp"
#include "observe/http_probe_source.hpp"
#include "observe/process_source.hpp"
#include "observe/volume_source.hpp"

namespace foreshadow::kinds {
namespace {

using namespace http;

class HttpKind final : public Kind {
 public:
  std::string name() const override { return "http"; }
  KindTraits traits() const override { return {.shares_data = true, .fences = false, .counterfactual = true}; }
  std::vector<OptionInfo> options() const override { return option_infos(); }

  Result<void> check(const Resource& resource, const Options& options) const override {
    FS_TRY(parsed, parse_options(options));
    if (parsed.upstream_tls == UpstreamTls::off && resource.primary.attributes.contains("tls_server_name"))
      return fail(Code::invalid, "primary: tls_server_name is for TLS to it; add the option upstream_tls: verify");
    const auto& host = resource.primary.endpoint.host;
    if (host.empty() || host.front() == '/' || resource.primary.endpoint.port == 0)
      return fail(Code::invalid, "primary: address must be host:port, as in 127.0.0.1:9001");
    return {};
  }

  Result<void> check_files(const Options& options) const override {
    FS_TRY(parsed, parse_options(options));
    return http::check_files(parsed);
  }
  std::vector<std::string> conditions() const override { return Matcher::names(); }
  std::vector<OptionInfo> segment_options() const override { return segment_option_infos(); }
  Result<void> check_condition(const std::string& name, const std::string& value) const override {
    return Matcher::check(name, value);
  }
  Result<void> check_segment_option(const std::string& name, const std::string& value) const override {
    FS_CHECK(parse_segment_options({{name, value}}));
    return {};
  }

  Result<void> check_segment_options(const Options& own, const Options& resources) const override {
    return check_insurance(own, resources);
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
    const auto parsed = parse_options(options).value_or(HttpOptions{});
    observe::ProbeTls tls;
    if (parsed.upstream_tls != UpstreamTls::off) tls = [parsed, instance] { return probe_tls(parsed, instance); };
    sources.push_back(observe::http_probe_source(instance.id, instance.endpoint, parsed.probe_path,
                                                 parsed.probe_timeout, std::move(tls)));
    return sources;
  }
  std::unique_ptr<act::Replicator> replicator(const Options& options) const override {
    return make_replicator(parse_options(options).value_or(HttpOptions{}));
  }
  std::unique_ptr<act::Promoter> promoter(const Options& options) const override {
    return make_promoter(parse_options(options).value_or(HttpOptions{}));
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

std::unique_ptr<Kind> make_http_kind() { return std::make_unique<HttpKind>(); }

}  // namespace foreshadow::kinds
