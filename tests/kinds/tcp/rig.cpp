#include "kinds/tcp/rig.hpp"

#include <nlohmann/json.hpp>

#include "domain/json.hpp"
#include "io/rpc.hpp"
#include "kinds/tcp/tcp_kind.hpp"

namespace foreshadow::kinds::tcp::testing {

using nlohmann::json;

Rig::Rig() {
  settings.name = "edge";
  settings.state_dir = dir.path();
  settings.drain_timeout = Millis{3000};
  proxy::ListenerSettings l;
  l.resource = "line";
  l.kind = "tcp";
  l.listen = {"127.0.0.1", 0};
  l.segments = {{.id = "all", .writes = true}};
  l.matches = {{"all", {}}};
  l.primary = instance(a);
  settings.listeners.push_back(l);
}

void Rig::start() {
  const auto kind = make_tcp_kind();
  auto made = proxy::Gateway::start(settings, [&](const proxy::ListenerSettings& l, boost::asio::any_io_executor e) {
    return Result<std::unique_ptr<proxy::Protocol>>(kind->protocol(l, std::move(e)));
  });
  ASSERT_TRUE(made) << made.error().what;
  gateway = std::move(*made);
  port = gateway->endpoint("line").port;
}

Stream Rig::connect() const {
  auto stream = Stream::connect(port);
  if (!stream) throw std::runtime_error("the gateway does not listen");
  return std::move(*stream);
}

std::pair<Stream, std::string> Rig::greeted() const {
  auto stream = connect();
  auto name = stream.read_exactly(1).value_or("nobody");
  return {std::move(stream), std::move(name)};
}

Instance Rig::instance(const Backend& backend) {
  Instance i;
  i.id = backend.name();
  i.endpoint = {"127.0.0.1", backend.port()};
  return i;
}

RouteTable Rig::split(double weight, bool b_known) {
  RouteTable t;
  t.resource = "line";
  t.version = ++version;
  t.term = 1;
  t.current = instance(a);
  if (b_known) t.other = instance(b);
  t.routes = {{"all", weight, 0}};
  return t;
}

RouteTable Rig::handed_over(std::uint64_t epoch) const {
  RouteTable t;
  t.resource = "line";
  t.epoch = epoch;
  t.version = 1;
  t.term = 1;
  t.current = instance(epoch % 2 ? b : a);
  return t;
}

void Rig::apply(const RouteTable& table) {
  const auto answer =
      io::rpc_call(proxy::gateway_socket_path(dir.path(), "edge"), {{"verb", "apply"}, {"table", table}}, kPatient);
  ASSERT_TRUE(answer) << answer.error().what;
}

Result<GatewayAck> Rig::hold(std::uint64_t next_epoch, HoldPolicy policy) {
  FS_TRY(answer,
         io::rpc_call(
             proxy::gateway_socket_path(dir.path(), "edge"),
             {{"verb", "hold"}, {"resource", "line"}, {"term", 1}, {"next_epoch", next_epoch}, {"policy", policy}},
             kPatient));
  return decode<GatewayAck>(answer);
}

Result<void> Rig::seal(std::uint64_t next_epoch, const GatewayAck& ack) {
  FS_TRY(answer, io::rpc_call(proxy::gateway_socket_path(dir.path(), "edge"),
                              {{"verb", "seal"},
                               {"resource", "line"},
                               {"term", 1},
                               {"next_epoch", next_epoch},
                               {"incarnation", ack.incarnation}},
                              kPatient));
  return {};
}

Result<void> Rig::release(std::uint64_t next_epoch) {
  FS_TRY(answer,
         io::rpc_call(proxy::gateway_socket_path(dir.path(), "edge"),
                      {{"verb", "release"}, {"resource", "line"}, {"term", 1}, {"next_epoch", next_epoch}}, kPatient));
  return {};
}

GatewayReport Rig::report() const {
  const auto answer = io::rpc_call(proxy::gateway_socket_path(dir.path(), "edge"),
                                   {{"verb", "report"}, {"resource", "line"}}, kPatient);
  EXPECT_TRUE(answer) << answer.error().what;
  return answer ? answer->get<GatewayReport>() : GatewayReport{};
}

}  // namespace foreshadow::kinds::tcp::testing
