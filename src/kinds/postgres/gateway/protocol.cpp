#include "kinds/postgres/gateway/protocol.hpp"

#include "kinds/postgres/gateway/hub.hpp"
#include "kinds/postgres/gateway/session.hpp"

namespace foreshadow::kinds {
namespace {

class PostgresProtocol final : public proxy::Protocol {
 public:
  PostgresProtocol(const proxy::ListenerSettings& settings, boost::asio::any_io_executor executor)
      : hub_(std::make_shared<pg_gateway::Hub>(settings, std::move(executor))) {}
  ~PostgresProtocol() override { hub_->stop(); }

  boost::asio::awaitable<void> serve(boost::asio::ip::tcp::socket client, proxy::Gate& gate) override {
    const auto session = std::make_shared<pg_gateway::Session>(hub_, std::move(client), gate);
    co_await session->run();
  }

  void stop() override { hub_->stop(); }

 private:
  // Shared with cancel requests and mirrors that are still on their way when the protocol ends.
  const std::shared_ptr<pg_gateway::Hub> hub_;
};

}  // namespace

std::unique_ptr<proxy::Protocol> make_postgres_protocol(const proxy::ListenerSettings& settings,
                                                        boost::asio::any_io_executor executor) {
  return std::make_unique<PostgresProtocol>(settings, std::move(executor));
}

}  // namespace foreshadow::kinds
