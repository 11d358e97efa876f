#include "kinds/http/wire/rewrite.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <iterator>

#include "kinds/http/wire/identity.hpp"
#include "kinds/http/wire/max_forwards.hpp"
#include "kinds/http/wire/text.hpp"

namespace foreshadow::kinds::http {
namespace {

constexpr std::string_view kVia = " foreshadow";

// RFC 9110, section 7.6.1, with those that RFC 2616 named. Framing fields are here because ours replace them.
bool is_hop_by_hop(std::string_view name) {
  switch (name.size()) {
    case 2:
      return equals_lower(name, "te");
    case 7:
      return equals_lower(name, "upgrade");
    case 10:
      return equals_lower(name, "connection") || equals_lower(name, "keep-alive");
    case 14:
      return equals_lower(name, "content-length");
    case 16:
      return equals_lower(name, "proxy-connection");
    case 17:
      return equals_lower(name, "transfer-encoding");
    default:
      return false;
  }
}

bool is_nominated(const Connection& connection, std::string_view name) {
  return std::ranges::any_of(connection.nominated, [&](std::string_view n) { return equals_ignoring_case(n, name); });
}

char* put(char* at, std::string_view text) { return std::copy(text.begin(), text.end(), at); }

void append_field(std::string& out, std::string_view name, std::string_view value) {
  const auto before = out.size();
  const auto after = before + name.size() + value.size() + 4;
  // In one step: four appends cost twice as much. The size it is told may be more than was asked for (libstdc++ 12).
  out.resize_and_overwrite(after, [&](char* begin, std::size_t) {
    put(put(put(put(begin + before, name), ": "), value), "\r\n");
    return after;
  });
}

template <class Number>
void append_number(std::string& out, Number number) {
  std::array<char, 24> digits;
  out.append(digits.data(), std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr);
}

void append_framing(std::string& out, const Framing& framing) {
  if (framing.kind == BodyKind::chunked) out += "Transfer-Encoding: chunked\r\n";
  if (framing.kind != BodyKind::length) return;
  out += "Content-Length: ";
  append_number(out, framing.length);
  out += "\r\n";
}

void append_upgrade(std::string& out, std::string_view protocols) {
  if (protocols.empty()) return;
  append_field(out, "Connection", "Upgrade");
  append_field(out, "Upgrade", protocols);
}

// Values of fields of that name, joined as a list.
std::string joined(const std::vector<Field>& fields, std::string_view lower_name) {
  std::string list;
  for (const auto& field : fields)
    if (equals_lower(field.name, lower_name) && !field.value.empty()) {
      if (!list.empty()) list += ", ";
      list.append(field.value);
    }
  return list;
}

// Consumed here or replaced by ours.
bool is_request_bookkeeping(std::string_view name) {
  return equals_lower(name, "host") || equals_lower(name, "expect") || equals_lower(name, "x-forwarded-for") ||
         equals_lower(name, "via") || equals_lower(name, "foreshadow-mirror");
}

// A copy's key is another than the original's, and the same for the same: its service must not take one for the other's
// repetition. Keys may be strings of RFC 9651, in quotes.
void append_own_key(std::string& out, const Field& field) {
  constexpr std::string_view prefix = "foreshadow-mirror-";
  const bool quoted = field.value.starts_with('"');
  out.append(field.name).append(quoted ? ": \"" : ": ").append(prefix);
  out.append(field.value.substr(quoted ? 1 : 0)).append("\r\n");
}

void append_end_to_end(std::string& out, const std::vector<Field>& fields, const Connection& connection) {
  for (const auto& field : fields)
    if (is_end_to_end(field, connection)) append_field(out, field.name, field.value);
}

void append_status_line(std::string& out, const ResponseHead& head) {
  out += "HTTP/1.1 ";
  append_number(out, head.status);
  out.append(" ").append(head.reason).append("\r\n");
}

// What a sender lists in Connection to have it dropped on the way must not be what the next one needs to be safe.
bool may_be_nominated(std::string_view name) {
  return !equals_lower(name, "host") && !equals_lower(name, "content-length") &&
         !equals_lower(name, "transfer-encoding") && !equals_lower(name, "content-type") &&
         !equals_lower(name, "content-encoding") && !equals_lower(name, "authorization") &&
         !equals_lower(name, "cookie") && !equals_lower(name, "set-cookie") && !equals_lower(name, "cache-control");
}

}  // namespace

bool is_end_to_end(const Field& field, const Connection& connection) {
  return !is_hop_by_hop(field.name) && !equals_lower(field.name, "via") && !is_nominated(connection, field.name);
}

std::string via(const std::vector<Field>& fields, std::string_view received) {
  auto path = joined(fields, "via");
  if (!path.empty()) path += ", ";
  return path.append(received).append(kVia);
}

Connection read_connection(const std::vector<Field>& fields) {
  Connection connection;
  bool listed_upgrade = false, offers_upgrade = false;
  for (const auto& field : fields) {
    if (equals_lower(field.name, "connection")) {
      for_each_element(field.value, [&](std::string_view option) {
        if (equals_lower(option, "close"))
          connection.close = true;
        else if (equals_lower(option, "keep-alive"))
          connection.keep_alive = true;
        else if (equals_lower(option, "upgrade"))
          listed_upgrade = true;
        else if (may_be_nominated(option))
          connection.nominated.push_back(option);
      });
    } else if (equals_lower(field.name, "upgrade")) {
      for_each_element(field.value, [&](std::string_view protocol) {
        if (!equals_lower(protocol, "h2c")) offers_upgrade = true;
      });
    } else if (equals_lower(field.name, "expect")) {
      (equals_lower(field.value, "100-continue") ? connection.expects_continue : connection.expects_other) = true;
    }
  }
  connection.upgrade = listed_upgrade && offers_upgrade;
  return connection;
}

bool persistent(const Connection& connection, int minor) {
  return !connection.close && (minor >= 1 || connection.keep_alive);
}

void append_request(std::string& out, const RequestHead& head, const Connection& connection,
                    const RequestRewrite& rewrite) {
  out.append(head.method).append(" ").append(head.target).append(" HTTP/1.1\r\n");
  append_field(out, "Host", head.minor == 0 && head.host.empty() ? rewrite.fallback_host : head.host);
  const auto hops = max_forwards(head);
  for (const auto& field : head.fields) {
    if (is_hop_by_hop(field.name) || is_request_bookkeeping(field.name) || is_nominated(connection, field.name))
      continue;
    if (!rewrite.trust_forwarded && equals_lower(field.name, "x-forwarded-proto")) continue;
    if (rewrite.identity && rewrite.identity->drops(field.name)) continue;
    if (rewrite.mirror && (equals_lower(field.name, "idempotency-key") || equals_lower(field.name, rewrite.key_name)))
      append_own_key(out, field);
    else if (hops && equals_lower(field.name, kMaxForwards))
      append_field(out, field.name, std::to_string(std::max(*hops, 1U) - 1));
    else
      append_field(out, field.name, field.value);
  }
  if (rewrite.identity) out += rewrite.identity->lines;
  // A nominated X-Forwarded-For is the client's wish to have its own dropped; ours is added all the same.
  const auto path =
      is_nominated(connection, "x-forwarded-for") ? std::string{} : joined(head.fields, "x-forwarded-for");
  append_field(out, "X-Forwarded-For",
               path.empty() ? std::string(rewrite.client_address) : path + ", " + std::string(rewrite.client_address));
  if (!rewrite.trust_forwarded || !find_field(head.fields, "x-forwarded-proto"))
    append_field(out, "X-Forwarded-Proto", rewrite.secure ? "https" : "http");
  append_field(out, "Via", via(head.fields, rewrite.received));
  if (rewrite.trailers) out += "TE: trailers\r\nConnection: TE\r\n";
  append_upgrade(out, rewrite.upgrade);
  if (rewrite.expect_continue) append_field(out, "Expect", "100-continue");
  if (rewrite.mirror) append_field(out, "Foreshadow-Mirror", "1");
  append_framing(out, rewrite.framing);
  out += "\r\n";
}

void append_response(std::string& out, const ResponseHead& head, const Connection& connection,
                     const ResponseRewrite& rewrite) {
  append_status_line(out, head);
  append_end_to_end(out, head.fields, connection);
  append_field(out, "Via", via(head.fields, rewrite.received));
  if (!rewrite.set_cookie.empty()) append_field(out, "Set-Cookie", rewrite.set_cookie);
  if (rewrite.keep_length) {
    if (const auto* length = find_field(head.fields, "content-length"))
      append_field(out, "Content-Length", length->value);
  } else {
    append_framing(out, rewrite.framing);
  }
  append_upgrade(out, rewrite.upgrade);
  if (rewrite.close)
    append_field(out, "Connection", "close");
  else if (rewrite.client_minor == 0)
    append_field(out, "Connection", "keep-alive");
  out += "\r\n";
}

void append_interim(std::string& out, const ResponseHead& head, const Connection& connection) {
  append_status_line(out, head);
  append_end_to_end(out, head.fields, connection);
  out += "\r\n";
}

void append_own_answer(std::string& out, const OwnAnswer& answer) {
  fmt::format_to(std::back_inserter(out),
                 "HTTP/1.1 {} {}\r\nDate: {}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\n",
                 answer.status, reason_phrase(answer.status), answer.date, answer.text.size() + 1);
  if (answer.retry_soon) append_field(out, "Retry-After", "1");
  if (answer.close) append_field(out, "Connection", "close");
  out += "\r\n";
  if (!answer.head) out.append(answer.text).append("\n");
}

bool is_safe(std::string_view method) {
  return method == "GET" || method == "HEAD" || method == "OPTIONS" || method == "TRACE";
}

std::string_view reason_phrase(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 400:
      return "Bad Request";
    case 408:
      return "Request Timeout";
    case 413:
      return "Content Too Large";
    case 414:
      return "URI Too Long";
    case 417:
      return "Expectation Failed";
    case 431:
      return "Request Header Fields Too Large";
    case 501:
      return "Not Implemented";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "Error";
  }
}

}  // namespace foreshadow::kinds::http
