// PostgreSQL's wire protocol as a hostile peer speaks it: framing, every decoder, the SQL lexer and the tracker behind
// them. The first byte picks the side and where the input is cut in two, so that every reassembly is seen; whatever the
// cut, the same messages must come out.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "kinds/postgres/gateway/message.hpp"
#include "kinds/postgres/gateway/scram.hpp"
#include "kinds/postgres/gateway/tracker.hpp"
#include "kinds/postgres/gateway/wire.hpp"

using namespace foreshadow;
using namespace foreshadow::kinds::pg_gateway;

namespace {

void decode_all(std::string_view body) {
  decode_error(body);
  decode_ready(body);
  decode_string(body);
  decode_parameter_status(body);
  decode_backend_key(body);
  decode_parse(body);
  decode_bind(body);
  decode_target(body);
  decode_auth(body);
}

// Heads and bytes of bodies, in order; '!' where the stream was refused.
std::string run(Origin origin, std::string_view bytes, std::size_t cut) {
  Framer framer(origin);
  Tracker tracker;
  std::string heads, bodies, buffer;
  for (const auto part : {bytes.substr(0, cut), bytes.substr(cut)}) {
    buffer += part;
    for (;;) {
      const auto piece = framer.next(buffer);
      if (!piece) return heads + "!" + bodies;
      if (!*piece) break;
      const auto& p = **piece;
      if (p.size == 0 || p.size > buffer.size()) std::abort();
      bodies += p.body;
      if (p.head) {
        heads += p.type;
        decode_all(p.body);
        if (origin == Origin::backend) {
          tracker.backend(p);
        } else if (tracker.frontend(p)) {
          // A server that answers everything, so that the tracker goes through its states.
          tracker.backend({.head = true, .type = 'E', .whole = true});
          tracker.backend({.head = true, .type = 'Z', .length = 1, .body = "I", .whole = true});
        }
        if (tracker.idle() && tracker.queued() > 0) std::abort();
        static_cast<void>(tracker.loss());
        static_cast<void>(tracker.pinned());
      }
      buffer.erase(0, p.size);
    }
  }
  return heads + "." + bodies;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data) + 2, size - 2);
  const auto origin = data[0] & 1 ? Origin::backend : Origin::frontend;
  if (run(origin, input, input.size()) != run(origin, input, data[1] % (input.size() + 1))) std::abort();
  if (const auto n = startup_size(input); n && *n && **n <= input.size()) {
    const auto startup = parse_startup(input.substr(0, **n));
    if (startup && startup->kind == Startup::Kind::session && startup_packet(*startup) != input.substr(0, **n))
      std::abort();
  }
  const auto inspected = inspect(input, (data[0] & 2) != 0);
  if (inspected.plain_select && (inspected.statements != 1 || !inspected.effects.empty())) std::abort();
  ScramClient scram("secret", "nonce");
  // An iteration count makes this slow; the counts are tested, the shapes are fuzzed.
  if (input.find("i=") == std::string_view::npos) static_cast<void>(scram.final(input));
  static_cast<void>(scram.verify(input));
  return 0;
}
