// What the messages say that the gateway must understand, and those it writes itself. Pure. Decoders take a message's
// body and return nothing when it is malformed; they never read past it, whoever wrote it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "kinds/postgres/gateway/wire.hpp"

namespace foreshadow::kinds::pg_gateway {

struct ErrorFields {
  std::string severity;  // not localised where the server sends it so ("FATAL")
  std::string sqlstate;  // empty when the server sent none (poolers in between do that)
  std::string message;
  bool ends_session() const { return severity == "FATAL" || severity == "PANIC"; }
};
struct Named {  // ParameterStatus
  std::string_view name, value;
};
struct BackendKey {
  std::uint32_t pid = 0;
  std::string secret;  // 4 bytes in protocol 3.0, up to 256 in 3.2
};
struct ParseMessage {
  std::string_view name, query;
};
struct BindMessage {
  std::string_view portal, statement;
};
struct Target {   // Describe and Close
  char kind = 0;  // 'S' statement, 'P' portal
  std::string_view name;
};

// AuthenticationXXX by its code, https://www.postgresql.org/docs/15/protocol-message-formats.html
enum class Auth : std::uint32_t {
  ok = 0,
  cleartext = 3,
  md5 = 5,
  gss = 7,
  gss_continue = 8,
  sspi = 9,
  sasl = 10,
  sasl_continue = 11,
  sasl_final = 12
};
struct AuthMessage {
  Auth kind = Auth::ok;
  std::string_view data;
};

// The fields found, also in a body cut short.
ErrorFields decode_error(std::string_view body);
std::optional<char> decode_ready(std::string_view body);
std::optional<std::string_view> decode_string(std::string_view body);  // Query, CommandComplete, Execute's portal
std::optional<Named> decode_parameter_status(std::string_view body);
std::optional<BackendKey> decode_backend_key(std::string_view body);
std::optional<ParseMessage> decode_parse(std::string_view body);
std::optional<BindMessage> decode_bind(std::string_view body);  // its names; the values are nobody's business here
std::optional<Target> decode_target(std::string_view body);
std::optional<AuthMessage> decode_auth(std::string_view body);

std::string message(char type, std::string_view body);
// `severity` is ERROR or FATAL.
std::string error_response(std::string_view severity, std::string_view sqlstate, std::string_view text,
                           std::string_view hint = {});
std::string authentication_ok();
std::string authentication_sasl(std::string_view mechanisms);
std::string parameter_status(std::string_view name, std::string_view value);
std::string backend_key_data(const BackendKey& key);
std::string ready_for_query(char status);
std::string query(std::string_view sql);
std::string sync();
std::string terminate();
std::string ssl_request();
std::string startup_packet(const Startup& startup);
std::string cancel_request(const BackendKey& key);

}  // namespace foreshadow::kinds::pg_gateway
