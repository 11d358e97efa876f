#include "kinds/postgres/gateway/message.hpp"

namespace foreshadow::kinds::pg_gateway {
namespace {

void append_string(std::string& out, std::string_view text) {
  out += text;
  out += '\0';
}

}  // namespace

ErrorFields decode_error(std::string_view body) {
  ErrorFields fields;
  while (!body.empty() && body[0] != '\0') {
    const char field = body[0];
    body.remove_prefix(1);
    const auto text = take_string(body);
    if (!text) break;
    if (field == 'V' || (field == 'S' && fields.severity.empty())) fields.severity = *text;
    if (field == 'C') fields.sqlstate = *text;
    if (field == 'M') fields.message = *text;
  }
  return fields;
}

std::optional<char> decode_ready(std::string_view body) {
  if (body.size() != 1 || (body[0] != 'I' && body[0] != 'T' && body[0] != 'E')) return std::nullopt;
  return body[0];
}

std::optional<std::string_view> decode_string(std::string_view body) { return take_string(body); }

std::optional<Named> decode_parameter_status(std::string_view body) {
  const auto name = take_string(body);
  if (!name) return std::nullopt;
  const auto value = take_string(body);
  if (!value) return std::nullopt;
  return Named{*name, *value};
}

std::optional<BackendKey> decode_backend_key(std::string_view body) {
  if (body.size() < 8 || body.size() > 4 + 256) return std::nullopt;
  return BackendKey{read_u32(body), std::string(body.substr(4))};
}

std::optional<ParseMessage> decode_parse(std::string_view body) {
  const auto name = take_string(body);
  if (!name) return std::nullopt;
  const auto text = take_string(body);
  if (!text) return std::nullopt;
  return ParseMessage{*name, *text};
}

std::optional<BindMessage> decode_bind(std::string_view body) {
  const auto portal = take_string(body);
  if (!portal) return std::nullopt;
  const auto statement = take_string(body);
  if (!statement) return std::nullopt;
  return BindMessage{*portal, *statement};
}

std::optional<Target> decode_target(std::string_view body) {
  if (body.empty() || (body[0] != 'S' && body[0] != 'P')) return std::nullopt;
  const char kind = body[0];
  body.remove_prefix(1);
  const auto name = take_string(body);
  if (!name || !body.empty()) return std::nullopt;
  return Target{kind, *name};
}

std::optional<AuthMessage> decode_auth(std::string_view body) {
  if (body.size() < 4) return std::nullopt;
  return AuthMessage{static_cast<Auth>(read_u32(body)), body.substr(4)};
}

std::string message(char type, std::string_view body) {
  std::string out;
  out.reserve(body.size() + 5);
  out += type;
  append_u32(out, static_cast<std::uint32_t>(body.size() + 4));
  out += body;
  return out;
}

std::string error_response(std::string_view severity, std::string_view sqlstate, std::string_view text,
                           std::string_view hint) {
  std::string body;
  const auto field = [&](char name, std::string_view value) {
    body += name;
    append_string(body, value);
  };
  field('S', severity);
  field('V', severity);
  field('C', sqlstate);
  field('M', text);
  if (!hint.empty()) field('H', hint);
  body += '\0';
  return message('E', body);
}

std::string authentication_ok() { return message('R', std::string(4, '\0')); }

std::string authentication_sasl(std::string_view mechanisms) {
  std::string body;
  append_u32(body, static_cast<std::uint32_t>(Auth::sasl));
  return message('R', body + std::string(mechanisms));
}

std::string parameter_status(std::string_view name, std::string_view value) {
  std::string body;
  append_string(body, name);
  append_string(body, value);
  return message('S', body);
}

std::string backend_key_data(const BackendKey& key) {
  std::string body;
  append_u32(body, key.pid);
  return message('K', body + key.secret);
}

std::string ready_for_query(char status) { return message('Z', std::string_view(&status, 1)); }

std::string query(std::string_view sql) {
  std::string body(sql);
  body += '\0';
  return message('Q', body);
}

std::string sync() { return message('S', {}); }
std::string terminate() { return message('X', {}); }

std::string ssl_request() {
  std::string out;
  append_u32(out, 8);
  append_u32(out, 80877103);
  return out;
}

std::string startup_packet(const Startup& startup) {
  std::string body;
  append_u32(body, startup.version);
  for (const auto& [name, value] : startup.parameters) {
    append_string(body, name);
    append_string(body, value);
  }
  body += '\0';
  std::string out;
  append_u32(out, static_cast<std::uint32_t>(body.size() + 4));
  return out + body;
}

std::string cancel_request(const BackendKey& key) {
  std::string out;
  append_u32(out, static_cast<std::uint32_t>(12 + key.secret.size()));
  append_u32(out, 80877102);
  append_u32(out, key.pid);
  return out + key.secret;
}

}  // namespace foreshadow::kinds::pg_gateway
