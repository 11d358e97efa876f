// The part of a session that becomes something else than HTTP (RFC 9110, section 7.8).
#include "kinds/http/wire/upgrade.hpp"
#include "kinds/http/session/session.hpp"

namespace foreshadow::kinds::http {

awaitable<bool> Session::invite_body(Request& request) {
  client_.watch().arm(core_->settings.idle_timeout);
  request.expects = false;
  co_return !(co_await client_.write("HTTP/1.1 100 Continue\r\n\r\n")).error;
}

awaitable<bool> Session::switch_over(Request& request, proxy::Pass pass, std::unique_ptr<Conn> upstream) {
  // The tunnel is in flight as long as it lasts; what clients feel of it is how long it took to begin.
  pass.finish(true, std::chrono::duration_cast<proxy::Micros>(Watch::Steady::now() - request.received_at));
  const auto connection = read_connection(answer_.head.fields);
  const auto protocols = named_protocols(answer_.head, connection);
  const auto cookie = new_cookie(*core_, gate_, arrival_, request, answer_.head);
  out_.clear();
  append_response(out_, answer_.head, connection, {.set_cookie = cookie, .upgrade = protocols});
  client_.watch().arm(core_->settings.idle_timeout);
  if ((co_await client_.write(out_)).error) co_return false;

  // It may last for days.
  request.body = std::string();
  out_ = {};
  bool in_order = false;
  {
    const auto held = std::move(pass);
    Tunnel tunnel(client_, std::move(upstream), is_websocket(protocols));
    const Tunnels::Entry entry(core_->tunnels, tunnel, gate_, held, request.client.sticky);
    in_order = co_await tunnel.run();
  }
  // The instance is rid of it. The client gets time to read our last words: closing over what it still sends would take
  // them from its hands.
  if (in_order) co_await linger(client_);
  co_return false;
}

}  // namespace foreshadow::kinds::http
