#include "kinds/http/http_protocol.hpp"

#include <algorithm>

#include "base/log.hpp"
#include "kinds/http/session/session.hpp"

namespace foreshadow::kinds::http {
namespace {

namespace asio = boost::asio;

// Connections kept for each instance: more than a gateway's thread can keep busy.
constexpr std::size_t kIdleMax = 256;

class HttpProtocol final : public proxy::Protocol {
 public:
  explicit HttpProtocol(std::shared_ptr<Core> core) : core_(std::move(core)) {}

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
  void retire() override { core_->watchdog->retire(); }
  void stop() override { core_->watchdog->stop(); }

 private:
  std::shared_ptr<Core> core_;
};

}  // namespace

Result<std::unique_ptr<proxy::Protocol>> make_protocol(const proxy::ListenerSettings& settings,
                                                       asio::any_io_executor executor) {
  auto core = std::make_shared<Core>();
  core->settings = settings;
  FS_TRY(options, parse_options(settings.options));
  core->options = options;
  std::vector<std::map<std::string, std::string>> conditions;
  for (const auto& match : settings.matches) conditions.push_back(match.conditions);
  FS_TRY(matcher, Matcher::make(conditions));
  core->matcher = std::move(matcher);
  core->limits.head_bytes_max = settings.header_bytes_max;
  core->limits.target_bytes_max = std::min(core->limits.target_bytes_max, settings.header_bytes_max);
  core->watchdog = std::make_shared<Watchdog>(executor);
  core->pool = std::make_shared<Pool>(executor, core->watchdog, kIdleMax);
  core->mirror = std::make_shared<Mirror>(executor, core->watchdog, MirrorSettings{.deadline = options.mirror_timeout});
  return std::make_unique<HttpProtocol>(std::move(core));
}

}  // namespace foreshadow::kinds::http
