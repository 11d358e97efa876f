#include "kinds/http/rig.hpp"

#include <nlohmann/json.hpp>

#include "domain/json.hpp"
#include "io/rpc.hpp"
#include "kinds/http/http_kind.hpp"

namespace foreshadow::kinds::http::testing {

using nlohmann::json;

Rig::Rig() {
  settings.name = "edge";
  settings.state_dir = dir.path();
  settings.drain_timeout = Millis{3000};
  proxy::ListenerSettings l;
  l.resource = "shop";
  l.kind = "http";
  l.listen = {"127.0.0.1", 0};
  Segment browse, orders;
  browse.id = "browse";
  orders.id = "orders";
  orders.writes = true;
  orders.honours_mirror_mark = true;
  l.segments = {browse, orders};
  l.matches = {{"browse", {{"method", "GET,HEAD"}}}, {"orders", {{"method", "POST"}, {"path", "/orders"}}}};
  l.primary = instance(a);
  // Tests count copies; one of twenty would be missing, and another there twice.
  l.options["mirror_trial"] = "false";
  l.options["compare_noise"] = "0";
  // They count what is parked, too, and give copies to shadows that never answer well.
  l.options["reads_in_hold"] = "park";
  l.limits.outlier = {.consecutive = 0, .share = 0};
  settings.listeners.push_back(l);
}

void Rig::TearDown() {
  gateway.reset();
  a.end();
  b.end();
}

void Rig::start() {
  const auto kind = make_http_kind();
  auto made = proxy::Gateway::start(settings, [&](const proxy::ListenerSettings& l, boost::asio::any_io_executor e) {
    return Result<std::unique_ptr<proxy::Protocol>>(kind->protocol(l, std::move(e)));
  });
  ASSERT_TRUE(made) << made.error().what;
  gateway = std::move(*made);
  port = gateway->endpoint("shop").port;
}

Stream Rig::connect() const {
  auto stream = Stream::connect(port);
  if (!stream) throw std::runtime_error("the gateway does not listen");
  return std::move(*stream);
}

std::optional<Message> Rig::ask(const std::string& request, bool bodyless) const {
  auto stream = connect();
  EXPECT_TRUE(stream.send(request));
  return read_message(stream, bodyless);
}

std::optional<Message> Rig::get(const std::string& target) const {
  return ask("GET " + target + " HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n");
}

Instance Rig::instance(const Backend& backend) {
  Instance i;
  i.id = backend.name();
  i.endpoint = {"127.0.0.1", backend.port()};
  return i;
}

RouteTable Rig::split(double weight, double mirror, double orders_weight, double orders_mirror) {
  RouteTable t;
  t.resource = "shop";
  t.version = ++version;
  t.term = 1;
  t.current = instance(a);
  t.other = instance(b);
  t.routes = {{"browse", weight, mirror}, {"orders", orders_weight, orders_mirror}};
  return t;
}

RouteTable Rig::handed_over(std::uint64_t epoch) const {
  RouteTable t;
  t.resource = "shop";
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
             {{"verb", "hold"}, {"resource", "shop"}, {"term", 1}, {"next_epoch", next_epoch}, {"policy", policy}},
             kPatient));
  return decode<GatewayAck>(answer);
}

Result<void> Rig::seal(std::uint64_t next_epoch, const GatewayAck& ack) {
  FS_TRY(answer, io::rpc_call(proxy::gateway_socket_path(dir.path(), "edge"),
                              {{"verb", "seal"},
                               {"resource", "shop"},
                               {"term", 1},
                               {"next_epoch", next_epoch},
                               {"incarnation", ack.incarnation}},
                              kPatient));
  return {};
}

Result<void> Rig::release(std::uint64_t next_epoch) {
  FS_TRY(answer,
         io::rpc_call(proxy::gateway_socket_path(dir.path(), "edge"),
                      {{"verb", "release"}, {"resource", "shop"}, {"term", 1}, {"next_epoch", next_epoch}}, kPatient));
  return {};
}

GatewayReport Rig::report() const {
  const auto answer = io::rpc_call(proxy::gateway_socket_path(dir.path(), "edge"),
                                   {{"verb", "report"}, {"resource", "shop"}}, kPatient);
  EXPECT_TRUE(answer) << answer.error().what;
  return answer ? answer->get<GatewayReport>() : GatewayReport{};
}

SegmentStats Rig::segment(const std::string& id) const {
  for (const auto& s : report().segments)
    if (s.segment == id) return s;
  return {};
}

}  // namespace foreshadow::kinds::http::testing
