#include "kinds/simulated/simulated_kind.hpp"

#include <utility>

#include "base/units.hpp"
#include "kinds/simulated/line_protocol.hpp"
#include "kinds/simulated/ports.hpp"

namespace foreshadow::kinds {
namespace {

constexpr std::size_t kLineBytesMax = 64 << 10;

Result<std::size_t> line_bytes_max(const Options& options) {
  const auto it = options.find("line_max");
  if (it == options.end()) return kLineBytesMax;
  auto bytes = parse_bytes(it->second);
  if (!bytes || *bytes == 0 || *bytes > (16 << 20))
    return fail(Code::invalid, "option 'line_max': must be from 1 to 16MiB, as in 64KiB");
  return static_cast<std::size_t>(*bytes);
}

class SimulatedKind final : public Kind {
 public:
  explicit SimulatedKind(std::shared_ptr<simulated::World> world) : world_(std::move(world)) {}

  std::string name() const override { return "simulated"; }
  KindTraits traits() const override { return {.shares_data = false, .fences = true, .counterfactual = true}; }
  std::vector<OptionInfo> options() const override { return {{"line_max", "longest line a client may send (64KiB)"}}; }
  Result<void> check(const Resource&, const Options& options) const override {
    FS_CHECK(line_bytes_max(options));
    return {};
  }
  std::vector<std::unique_ptr<observe::Source>> sources(const Instance& instance, const Options&) const override {
    std::vector<std::unique_ptr<observe::Source>> out;
    out.push_back(simulated::make_source(world_, instance.id));
    return out;
  }
  std::unique_ptr<act::Replicator> replicator(const Options&) const override {
    return simulated::make_replicator(world_);
  }
  std::unique_ptr<act::Promoter> promoter(const Options&) const override { return simulated::make_promoter(world_); }
  std::unique_ptr<proxy::Protocol> protocol(const proxy::ListenerSettings& settings,
                                            boost::asio::any_io_executor) const override {
    return simulated::make_line_protocol(world_, settings, line_bytes_max(settings.options).value_or(kLineBytesMax));
  }

 private:
  std::shared_ptr<simulated::World> world_;
};

}  // namespace

std::unique_ptr<Kind> make_simulated_kind(std::shared_ptr<simulated::World> world) {
  return std::make_unique<SimulatedKind>(std::move(world));
}

}  // namespace foreshadow::kinds
