#include "kinds/postgres/postgres_kind.hpp"

#include <utility>

#include "act/agent/client.hpp"
#include "kinds/postgres/gateway/protocol.hpp"
#include "kinds/postgres/host_promoter.hpp"
#include "kinds/postgres/host_replicator.hpp"
#include "kinds/postgres/settings.hpp"
#include "kinds/postgres/source.hpp"
#include "observe/cgroup_source.hpp"
#include "observe/process_source.hpp"
#include "observe/volume_source.hpp"

namespace foreshadow::kinds {
namespace {

using postgres::PgSettings;

// Without an agent, or with options that do not hold, nothing is done to anybody's database.
class Refusing final : public act::Promoter, public act::Replicator {
 public:
  explicit Refusing(std::string why) : why_(std::move(why)) {}
  Result<std::string> prepare(const act::Authority&, const Instance&, const Instance&, std::stop_token) override {
    return no();
  }
  Result<std::string> prove_equal(const act::Authority&, const Instance&, const Instance&, std::stop_token) override {
    return no();
  }
  Result<std::string> fence(const act::Authority&, const Instance&, const Instance&, std::stop_token) override {
    return no();
  }
  Result<act::Finding> check_fenced(const act::Authority&, const Instance&, const Instance&, const std::string&,
                                    std::stop_token) override {
    return no();
  }
  Result<act::Finding> assess(const act::Authority&, const Instance&, const Instance&, std::uint64_t,
                              std::stop_token) override {
    return no();
  }
  Result<std::string> promote(const act::Authority&, const Instance&, std::stop_token) override { return no(); }
  Result<bool> writable(const Instance&, std::stop_token) override { return no(); }
  Result<std::string> revive(const act::Authority&, const Instance&, std::stop_token) override { return no(); }
  Result<std::string> rejoin(const act::Authority&, const Instance&, const Instance&, std::stop_token) override {
    return no();
  }
  Result<std::string> follow(const Instance&, const Instance&, Millis, const act::Progress&, std::stop_token) override {
    return no();
  }
  Result<act::ReplicaState> state(const Instance&, const Instance&, std::stop_token) override { return no(); }
  Result<void> forget(const Instance&, const Instance&, std::stop_token) override { return no(); }

 private:
  tl::unexpected<Error> no() const { return fail(Code::refused, why_); }
  std::string why_;
};

const char* kNoAgent = "kind postgres acts through an agent on the databases' host: add agent: to the resource";

std::string attribute(const Instance& instance, const char* name) {
  const auto it = instance.attributes.find(name);
  return it == instance.attributes.end() ? "" : it->second;
}

class PostgresKind final : public Kind {
 public:
  std::string name() const override { return "postgres"; }
  KindTraits traits() const override { return {.shares_data = false, .fences = true, .counterfactual = true}; }

  std::vector<std::string> conditions() const override { return {"application_name", "user", "database"}; }
  std::vector<OptionInfo> options() const override {
    std::vector<OptionInfo> out;
    for (const auto& option : postgres::pg_options()) out.push_back({option.name, option.help});
    return out;
  }

  Result<void> check(const Resource& resource, const Options& options) const override {
    FS_TRY(settings, postgres::pg_settings(options));
    if (settings.agent_socket == postgres::kHere)
      return fail(Code::invalid,
                  "option 'agent_socket': left to 'agent:'; a controller never acts on a host by itself");
    const auto& primary = resource.primary;
    if (primary.endpoint.port == 0 || primary.endpoint.host.empty() ||
        primary.endpoint.host.find(',') != std::string::npos)
      return fail(Code::invalid, "primary: address must be host:port, or /socket/directory:port");
    if (!primary.data_dir.empty() && !primary.data_dir.starts_with('/'))
      return fail(Code::invalid, "primary: data_dir must be an absolute path");
    return {};
  }

  std::vector<std::unique_ptr<observe::Source>> sources(const Instance& instance,
                                                        const Options& options) const override {
    std::vector<std::unique_ptr<observe::Source>> out;
    const auto settings = postgres::pg_settings(options).value_or(PgSettings{});
    auto process = instance;
    if (process.pid_file.empty() && !process.data_dir.empty()) process.pid_file = process.data_dir + "/postmaster.pid";
    if (!process.pid_file.empty()) out.push_back(observe::process_source(process, {.tree = true}));
    if (const auto cgroup = attribute(instance, "cgroup"); !cgroup.empty())
      out.push_back(observe::cgroup_source(instance.id, cgroup));
    if (!instance.data_dir.empty()) out.push_back(observe::volume_source(instance.id, instance.data_dir));
    out.push_back(postgres::statistics_source(instance, settings));
    out.push_back(postgres::sql_probe_source(instance, settings));
    return out;
  }

  std::unique_ptr<act::Replicator> replicator(const Options& options) const override {
    auto settings = postgres::pg_settings(options);
    if (!settings) return std::make_unique<Refusing>(settings.error().what);
    if (settings->agent_socket.empty()) return std::make_unique<Refusing>(kNoAgent);
    if (settings->agent_socket == postgres::kHere) return postgres::host_replicator(std::move(*settings));
    return act::remote_replicator(address(*settings, options));
  }
  std::unique_ptr<act::Promoter> promoter(const Options& options) const override {
    auto settings = postgres::pg_settings(options);
    if (!settings) return std::make_unique<Refusing>(settings.error().what);
    if (settings->agent_socket.empty()) return std::make_unique<Refusing>(kNoAgent);
    if (settings->agent_socket == postgres::kHere) return postgres::host_promoter(std::move(*settings));
    return act::remote_promoter(address(*settings, options));
  }
  std::unique_ptr<proxy::Protocol> protocol(const proxy::ListenerSettings& settings,
                                            boost::asio::any_io_executor executor) const override {
    return make_postgres_protocol(settings, std::move(executor));
  }

 private:
  static act::AgentAddress address(const PgSettings& settings, const Options& options) {
    return {settings.agent_socket, "postgres", options};
  }
};

}  // namespace

std::unique_ptr<Kind> make_postgres_kind() { return std::make_unique<PostgresKind>(); }

}  // namespace foreshadow::kinds
