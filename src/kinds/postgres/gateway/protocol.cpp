#include "kinds/postgres/gateway/protocol.hpp"

#include "base/log.hpp"
#include "kinds/postgres/gateway/hub.hpp"
#include "kinds/postgres/gateway/session.hpp"

namespace foreshadow::kinds {
namespace {

class PostgresProtocol final : public proxy::Protocol {
 public:
  PostgresProtocol(const proxy::ListenerSettings& settings, pg_gateway::Tls tls, boost::asio::any_io_executor executor)
      : hub_(std::make_shared<pg_gateway::Hub>(settings, std::move(tls), std::move(executor))) {}
  // Before the loop's context goes, in which frames that hold the hub may outlive us.
  ~PostgresProtocol() override {
    hub_->stop();
    hub_->tls.files->stop_watching();
  }

  boost::asio::awaitable<void> serve(boost::asio::ip::tcp::socket client, proxy::Gate& gate) override {
    const auto session = std::make_shared<pg_gateway::Session>(hub_, std::move(client), gate);
    co_await session->run();
  }

  void describe(GatewayReport& report) const override { report.work_lengths = hub_->work_lengths; }
  void stop() override { hub_->stop(); }

 private:
  // Shared with cancel requests and mirrors that are still on their way when the protocol ends.
  const std::shared_ptr<pg_gateway::Hub> hub_;
};

Result<pg_gateway::Tls> read_tls(const proxy::ListenerSettings& settings, boost::asio::any_io_executor executor) {
  using pg_gateway::ClientTls, pg_gateway::UpstreamTls;
  pg_gateway::Tls tls;
  FS_TRY(options, pg_gateway::tls_options(settings.options));
  tls.options = std::move(options);
  FS_TRY(clients, pg_gateway::client_tls(tls.options, settings.tls));
  tls.clients = clients;
  proxy::CredentialSettings files{.resource = settings.resource, .check_interval = settings.tls_check_interval};
  if (clients != ClientTls::off) {
    files.server = settings.tls;
    files.server->alpn = {"postgresql"};
  }
  const auto upstream = tls.options.upstream;
  if (upstream != UpstreamTls::off) files.client = tls.options.client;
  if (upstream == UpstreamTls::prefer || upstream == UpstreamTls::require)
    log::warn(
        "{}: upstream_tls checks no certificate: whoever can answer in the server's place is believed; write "
        "verify_full",
        settings.resource);
  FS_TRY(loaded, proxy::Credentials::load(std::move(files), std::move(executor)));
  tls.files = std::move(loaded);
  return tls;
}

}  // namespace

Result<std::unique_ptr<proxy::Protocol>> make_postgres_protocol(const proxy::ListenerSettings& settings,
                                                                boost::asio::any_io_executor executor) {
  FS_TRY(tls, read_tls(settings, executor));
  return std::make_unique<PostgresProtocol>(settings, std::move(tls), std::move(executor));
}

}  // namespace foreshadow::kinds
