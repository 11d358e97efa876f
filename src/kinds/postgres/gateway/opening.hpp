// A client's first words, up to the startup packet that begins its session: requests for encryption, TLS that begins
// without one (sslnegotiation=direct of PostgreSQL 17), cancel requests; and what is to be done about each.
//
// Never lets a session begin with less than the rule asks for, and never lets a byte that came in the plain be taken
// for one that came under TLS (CVE-2021-23214 and CVE-2021-23222). Cancel requests may come in the plain at any time,
// as at the server: libpq before 17 sends them so whatever its connection uses. Pure.
#pragma once

#include <string>
#include <string_view>

#include "kinds/postgres/gateway/tls_options.hpp"
#include "kinds/postgres/gateway/wire.hpp"

namespace foreshadow::kinds::pg_gateway {

class Opening {
 public:
  enum class Step {
    wait,     // more must come first
    say_no,   // to a request for encryption: answer 'N', and go on
    say_yes,  // answer 'S', shake hands, and tell secured()
    session,  // `startup` begins it
    cancel,   // `startup` names whom
    refuse,   // tell `refusal` and end
    hang_up,  // end without a word: who is there would take none of ours
  };
  struct Refusal {
    std::string sqlstate, text, hint;
  };
  struct Next {
    Step step = Step::wait;
    std::size_t used = 0;  // of the bytes given
    Startup startup;
    Refusal refusal;
  };

  explicit Opening(ClientTls rule) : rule_(rule) {}

  // TLS begins with this byte, the connection's first, and must get to read it, too: shake hands, and tell secured().
  // Asked before anything else, and only if the byte can be looked at without being taken.
  bool begins_tls(char first);
  // `unread`: all that has come and was not used yet.
  Next next(std::string_view unread);
  // What the handshake agreed upon, and the name on the client's certificate. False: not meant for us, hang up.
  bool secured(std::string_view alpn, std::string name);

 private:
  Next refuse(std::string_view sqlstate, std::string text, std::string hint = {}) const;
  Next answer(const Startup& startup, std::size_t size, bool more);
  Next admit(Startup startup, std::size_t size) const;

  ClientTls rule_;
  bool asked_tls_ = false;
  bool asked_gss_ = false;
  bool direct_ = false;
  bool secure_ = false;
  std::string name_;
};

}  // namespace foreshadow::kinds::pg_gateway
