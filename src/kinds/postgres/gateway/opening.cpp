#include "kinds/postgres/gateway/opening.hpp"

#include <utility>

namespace foreshadow::kinds::pg_gateway {
namespace {

// The first byte of a TLS record that carries a handshake. A startup packet that began with it would be 369 MB long.
constexpr char kHandshake = 0x16;
constexpr std::string_view kProtocol = "postgresql";

}  // namespace

bool Opening::begins_tls(char first) {
  direct_ = rule_ != ClientTls::off && first == kHandshake;
  return direct_;
}

bool Opening::secured(std::string_view alpn, std::string name) {
  secure_ = true;
  name_ = std::move(name);
  // Who asked for it has shown that it speaks PostgreSQL's. Who has not may have been sent here to say to us what was
  // meant for another server (ALPACA); so PostgreSQL 17 wants the protocol named, and so do we.
  return direct_ ? alpn == kProtocol : alpn.empty() || alpn == kProtocol;
}

Opening::Next Opening::refuse(std::string_view sqlstate, std::string text, std::string hint) const {
  return {.step = Step::refuse, .refusal = {std::string(sqlstate), std::move(text), std::move(hint)}};
}

Opening::Next Opening::next(std::string_view unread) {
  if (!unread.empty() && unread[0] == kHandshake && !secure_ && !asked_tls_ && !asked_gss_)
    return {.step = Step::hang_up};
  const auto size = startup_size(unread);
  if (!size) return refuse("08P01", size.error().what);
  if (!*size || unread.size() < **size) return {};
  auto startup = parse_startup(unread.substr(0, **size));
  if (!startup) return refuse("08P01", startup.error().what);
  switch (startup->kind) {
    case Startup::Kind::ssl:
    case Startup::Kind::gss:
      return answer(*startup, **size, unread.size() > **size);
    case Startup::Kind::cancel:
      return {.step = Step::cancel, .used = **size, .startup = *std::move(startup)};
    case Startup::Kind::session:
      break;
  }
  return admit(*std::move(startup), **size);
}

// Each kind of encryption may be asked for once, and not within another.
Opening::Next Opening::answer(const Startup& startup, std::size_t size, bool more) {
  const bool tls = startup.kind == Startup::Kind::ssl;
  // Bytes sent along could be somebody else's, put there to be read as if they had come encrypted.
  if (more || secure_ || std::exchange(tls ? asked_tls_ : asked_gss_, true))
    return refuse("08P01", "unexpected bytes or too many requests before startup");
  return {.step = tls && rule_ != ClientTls::off ? Step::say_yes : Step::say_no, .used = size};
}

Opening::Next Opening::admit(Startup startup, std::size_t size) const {
  if (rule_ >= ClientTls::require && !secure_)
    return refuse("28000", "connections must be encrypted: this gateway takes sessions under TLS only",
                  "Connect with sslmode=require or, better, sslmode=verify-full.");
  // PostgreSQL's own words for it.
  if (rule_ == ClientTls::verify_full && name_ != startup.user())
    return refuse("28000", "certificate authentication failed for user \"" + std::string(startup.user()) + "\"",
                  "The common name of the client's certificate must be the user's.");
  return {.step = Step::session, .used = size, .startup = std::move(startup)};
}

}  // namespace foreshadow::kinds::pg_gateway
