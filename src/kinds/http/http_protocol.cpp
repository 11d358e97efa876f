#include "kinds/http/http_protocol.hpp"

#include <sys/random.h>

#include <nlohmann/json.hpp>

#include "base/assert.hpp"
#include "base/log.hpp"
#include "domain/gateway_report.hpp"
#include "kinds/http/session/access_log.hpp"
#include "kinds/http/session/insurer.hpp"
#include "kinds/http/session/plan.hpp"
#include "kinds/http/session/session.hpp"

namespace foreshadow::kinds::http {
namespace {

namespace asio = boost::asio;

// Ids must differ from those of every other gateway, and of this one before its restart; no draw may follow what
// clients do.
std::uint64_t draw_seed() {
  std::uint64_t seed = 0;
  FS_ASSERT(getrandom(&seed, sizeof seed, 0) == sizeof seed);
  return seed;
}

class HttpProtocol final : public proxy::Protocol {
 public:
  HttpProtocol(std::shared_ptr<Plan> plan, std::shared_ptr<Core> core)
      : plan_(std::move(plan)), core_(std::move(core)) {}
  // Before the loop's context goes, in which frames that hold the core may outlive us.
  ~HttpProtocol() override {
    if (core_->comparer) core_->comparer->stop();
    core_->credentials->stop_watching();
  }

  Result<std::unique_ptr<proxy::Protocol>> another(asio::any_io_executor executor) override {
    FS_TRY(core, plan_->next(executor));
    return std::make_unique<HttpProtocol>(plan_, std::move(core));
  }

  asio::awaitable<void> serve(asio::ip::tcp::socket client, proxy::Gate& gate) override {
    try {
      Session session(core_, std::move(client), gate);
      co_await session.run();
    } catch (const boost::system::system_error& e) {
      // The gateway cut us off at the end of its shutdown.
      if (e.code() != asio::error::operation_aborted) log::error("{}: {}", core_->settings.resource, e.what());
    } catch (const std::exception& e) {
      log::error("{}: a session ended badly: {}", core_->settings.resource, e.what());
    }
  }
  void describe(GatewayReport& report) const override {
    if (core_->access_log) report.log_lines_dropped = core_->access_log->dropped();
    if (core_->insurer) core_->insurer->report(report.segments);
  }
  void rest_in(std::shared_ptr<proxy::RestRoom> room) override { core_->rest = std::move(room); }
  void retire() override {
    core_->watchdog->retire(core_->options.move_long_lived_within);
    core_->tunnels->retire();
  }
  void stop() override {
    core_->watchdog->stop();
    core_->tunnels->stop();
  }
  std::optional<MirrorPace> mirror_pace() const override {
    return core_->trial ? std::optional(core_->trial->pace()) : std::nullopt;
  }
  Result<nlohmann::json> differences() const override {
    if (!core_->comparer) return fail(Code::refused, "answers are not compared; remove the option compare: false");
    return core_->comparer->differences();
  }

 private:
  // Shared by the protocols of all threads, to make another from. Not by sessions.
  std::shared_ptr<Plan> plan_;
  std::shared_ptr<Core> core_;
};

}  // namespace

Result<std::unique_ptr<proxy::Protocol>> make_protocol(const proxy::ListenerSettings& settings,
                                                       asio::any_io_executor executor) {
  FS_TRY(plan, Plan::make(settings, draw_seed()));
  FS_TRY(core, plan->next(executor));
  return std::make_unique<HttpProtocol>(std::move(plan), std::move(core));
}

}  // namespace foreshadow::kinds::http
