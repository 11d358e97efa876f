// What a proxy changes in a message it passes on (RFC 9110, section 7.6; RFC 9112, section 9.6): hop-by-hop fields go,
// framing is ours, the path it took is noted. Everything else passes byte for byte.
#pragma once

#include <string>

#include "kinds/http/wire/framing.hpp"

namespace foreshadow::kinds::http {

// Read once from the Connection field (and Upgrade, Expect), then acted upon.
struct Connection {
  bool close = false;
  bool keep_alive = false;
  bool upgrade = false;  // to something other than h2c, whose offer may be ignored
  bool expects_continue = false;
  bool expects_other = false;
  std::vector<std::string_view> nominated;  // further names that it lists: hop-by-hop too
};
Connection read_connection(const std::vector<Field>& fields);
// May another message follow on this connection, as far as its sender is concerned?
bool persistent(const Connection& connection, int minor);

// A field that passes as it is; Via does not, we put our name to it.
bool is_end_to_end(const Field& field, const Connection& connection);
// The value of Via behind us, for a message that came by this version of HTTP ("1.1", "2.0").
std::string via(const std::vector<Field>& fields, std::string_view received);

struct Identity;

struct RequestRewrite {
  Framing framing;
  std::string_view client_address;
  std::string_view fallback_host;  // Host for an HTTP/1.0 request that named none
  bool secure = false;             // the client came over TLS
  // The client is itself a trusted proxy: what it says of its own client's scheme is passed on.
  bool trust_forwarded = false;
  std::string_view received = "1.1";  // the version of HTTP that it came by
  bool trailers = false;              // the client takes trailers, and says so
  std::string_view upgrade;           // protocols to offer, as a list
  bool expect_continue = false;
  const Identity* identity = nullptr;  // null: such fields pass as they are
  bool mirror = false;                 // mark it, so that a service which honours the mark rolls its work back
  std::string_view key_name;  // of a copy: where its service reads idempotency keys, in lower case; empty: nowhere
};
// Appends the whole head. A client's own Foreshadow-Mirror never passes: it would let anybody have an order rolled
// back.
void append_request(std::string& out, const RequestHead& head, const Connection& connection,
                    const RequestRewrite& rewrite);

struct ResponseRewrite {
  Framing framing;
  bool keep_length = false;  // the answer to HEAD, or 304: Content-Length tells of a body that is not sent
  bool close = false;
  std::string_view set_cookie;        // one more Set-Cookie; empty: none
  std::string_view received = "1.1";  // the version of HTTP that it came by
  int client_minor = 1;
  std::string_view upgrade;  // protocols that it switches to, or asks for (426), as a list
};
void append_response(std::string& out, const ResponseHead& head, const Connection& connection,
                     const ResponseRewrite& rewrite);
// An interim answer (100, 103) on its way to an HTTP/1.1 client.
void append_interim(std::string& out, const ResponseHead& head, const Connection& connection);

struct OwnAnswer {
  int status = 500;
  std::string_view text;  // for people: what happened and what did not
  std::string_view date;  // IMF-fixdate
  bool close = false;
  bool head = false;        // answers HEAD: no body
  bool retry_soon = false;  // provably nothing was done
};
void append_own_answer(std::string& out, const OwnAnswer& answer);

bool is_safe(std::string_view method);
std::string_view reason_phrase(int status);

}  // namespace foreshadow::kinds::http
