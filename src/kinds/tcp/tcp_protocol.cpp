#include "kinds/tcp/tcp_protocol.hpp"

#include <fmt/format.h>

#include <boost/asio/error.hpp>
#include <boost/asio/ip/tcp.hpp>

#include "base/log.hpp"
#include "kinds/tcp/options.hpp"
#include "kinds/tcp/session/connect.hpp"
#include "kinds/tcp/session/held.hpp"
#include "kinds/tcp/session/roster.hpp"
#include "kinds/tcp/session/tunnel.hpp"
#include "proxy/share.hpp"
#include "proxy/sticky.hpp"

namespace foreshadow::kinds::tcp {
namespace {

namespace asio = boost::asio;
using socket = asio::ip::tcp::socket;
using Steady = Tunnel::Steady;

// A stream has no parts that could be told apart: all of it is the first segment.
constexpr std::size_t kSegment = 0;
// An instance that is down refuses every client, and one line a second tells it.
constexpr std::chrono::seconds kComplaintPause{1};

// Shared, because frames of connections may outlive the protocol at the very end.
struct Core {
  // `nth`: of the gateway's threads.
  Core(const proxy::ListenerSettings& listener, const TcpOptions& kind, const asio::any_io_executor& executor,
       std::size_t nth)
      : settings(listener),
        options(kind),
        account(proxy::share_of(kind.held_max, static_cast<std::size_t>(listener.threads), nth)),
        roster(std::make_shared<Roster>(executor,
                                        RosterSettings{listener.idle_timeout, kind.quiet_after, kind.on_hold})) {}
  proxy::ListenerSettings settings;
  TcpOptions options;
  HeldAccount account;
  std::shared_ptr<Roster> roster;
  Steady::time_point complain_at{};
  int silenced = 0;

  void complain(const std::string& what) {
    if (Steady::now() < complain_at) {
      ++silenced;
      return;
    }
    log::warn("{}: {} ({} more since the last such line)", settings.resource, what, silenced);
    complain_at = Steady::now() + kComplaintPause;
    silenced = 0;
  }
};

// 0, which draws afresh, if that is wanted or the client has left already.
std::uint64_t sticky_of(const socket& client, Sticky sticky) {
  boost::system::error_code gone;
  const auto remote = client.remote_endpoint(gone);
  if (gone || sticky == Sticky::connection) return 0;
  std::uint64_t hash = 0;
  if (remote.address().is_v4()) {
    hash = remote.address().to_v4().to_uint();
  } else {
    for (const auto byte : remote.address().to_v6().to_bytes()) hash = proxy::mix(hash ^ byte);
  }
  return proxy::mix(hash) | 1;
}

asio::awaitable<void> carry(std::shared_ptr<Core> core, socket client, proxy::Gate& gate) {
  const auto session = gate.session();
  tune(client);
  auto pass = co_await gate.enter(kSegment, sticky_of(client, core->options.sticky));
  if (!pass) {
    core->complain("a connection was refused: " + pass.error().what);
    co_return refuse(client);
  }
  const auto entered_at = Steady::now();
  // One that left while it was parked is not worth a connection.
  if (is_gone(client)) co_return pass->finish(true, proxy::Micros{0});
  auto instance = co_await connect(client.get_executor(), pass->target().endpoint, core->options.connect_timeout);
  const auto took = std::chrono::duration_cast<proxy::Micros>(Steady::now() - entered_at);
  if (!instance) {
    pass->finish(false, took);
    core->complain(fmt::format("{} cannot be reached: {}", pass->target().id, instance.error().what));
    co_return refuse(client);
  }
  Tunnel tunnel(std::move(*pass), std::move(client), std::move(*instance), took, core->account);
  const Roster::Entry entry(core->roster, tunnel, gate);
  co_await tunnel.run();
}

class TcpProtocol final : public proxy::Protocol {
 public:
  explicit TcpProtocol(std::shared_ptr<Core> core) : core_(std::move(core)) {}

  asio::awaitable<void> serve(socket client, proxy::Gate& gate) override {
    try {
      co_await carry(core_, std::move(client), gate);
    } catch (const boost::system::system_error& e) {
      // The gateway cut us off at the end of its shutdown.
      if (e.code() != asio::error::operation_aborted) log::error("{}: {}", core_->settings.resource, e.what());
    } catch (const std::exception& e) {
      log::error("{}: a connection ended badly: {}", core_->settings.resource, e.what());
    }
  }
  void stop() override { core_->roster->stop(); }
  Result<std::unique_ptr<proxy::Protocol>> another(asio::any_io_executor executor) override {
    return std::make_unique<TcpProtocol>(
        std::make_shared<Core>(core_->settings, core_->options, executor, ++others_made_));
  }

 private:
  std::shared_ptr<Core> core_;
  std::size_t others_made_ = 0;
};

}  // namespace

Result<std::unique_ptr<proxy::Protocol>> make_protocol(const proxy::ListenerSettings& settings,
                                                       asio::any_io_executor executor) {
  FS_TRY(options, parse_options(settings.options));
  return std::make_unique<TcpProtocol>(std::make_shared<Core>(settings, options, executor, 0));
}

}  // namespace foreshadow::kinds::tcp
