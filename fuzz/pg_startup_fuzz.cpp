// Whoever reaches PostgreSQL's port, up to the packet that begins its session. The first byte of the input chooses the
// rule; the second, what a handshake agrees upon; the rest is what the client says, and where a 0xff byte stands before
// a number, so many bytes arrive before the opening is asked again. Whatever comes:
//   no session begins with less than the rule asks for, and none with bytes that came before its encryption;
//   each encryption is asked for once, and declined or taken as the rule says;
//   what was refused was refused for good, and how the bytes were cut changes nothing.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "kinds/postgres/gateway/binding.hpp"
#include "kinds/postgres/gateway/message.hpp"
#include "kinds/postgres/gateway/opening.hpp"

using namespace foreshadow::kinds::pg_gateway;
using Step = Opening::Step;

namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

struct Visit {
  ClientTls rule;
  bool names_protocol;
  std::string name;
};

struct Seen {
  std::string steps;
  std::string startup;  // as it would be sent on
  bool operator==(const Seen&) const = default;
};

char letter(Step step) { return static_cast<char>('a' + static_cast<int>(step)); }

// `flights`: what arrives together. A client waits for the answer to its request for encryption, or has smuggled.
Seen run(const Visit& visit, const std::vector<std::string_view>& flights) {
  Opening opening(visit.rule);
  Seen seen;
  std::string unread;
  bool secure = false, first = true;
  int yes = 0, no = 0;
  const auto shake = [&](bool direct) {
    require(visit.rule != ClientTls::off && unread.empty());
    secure = opening.secured(visit.names_protocol ? "postgresql" : "", visit.name);
    require(secure || (direct && !visit.names_protocol));
    return secure;
  };
  for (const auto flight : flights) {
    if (first && !flight.empty()) {
      first = false;
      if (opening.begins_tls(flight[0])) {
        require(flight[0] == 0x16);
        // The byte is TLS's, and what came with it; the next flight is under it.
        seen.steps += 'T';
        if (!shake(true)) return seen;
        continue;
      }
    }
    unread += flight;
    for (bool more = true; more;) {
      const auto next = opening.next(unread);
      require(next.used <= unread.size());
      unread.erase(0, next.used);
      seen.steps += next.step == Step::wait ? "" : std::string(1, letter(next.step));
      switch (next.step) {
        case Step::wait:
          require(next.used == 0 && unread.size() < startup_bytes_max);
          more = false;
          break;
        case Step::say_no:
          require(next.used == 8 && unread.empty() && !secure && ++no <= 2);
          break;
        case Step::say_yes:
          require(next.used == 8 && !secure && ++yes == 1);
          shake(false);
          break;
        case Step::session:
          require(visit.rule <= ClientTls::allow || secure);
          require(visit.rule != ClientTls::verify_full || next.startup.user() == visit.name);
          require(next.startup.kind == Startup::Kind::session && !next.startup.user().empty());
          seen.startup = startup_packet(next.startup);
          return seen;
        case Step::cancel:
          require(next.startup.kind == Startup::Kind::cancel && next.startup.secret.size() <= 256);
          return seen;
        case Step::refuse:
          require(next.refusal.sqlstate.size() == 5 && !next.refusal.text.empty());
          require(opening.next(unread).step == Step::refuse);
          return seen;
        case Step::hang_up:
          require(visit.rule == ClientTls::off);
          return seen;
      }
    }
  }
  return seen;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  std::string_view input(reinterpret_cast<const char*>(data) + 2, size - 2);
  const Visit visit{static_cast<ClientTls>(data[0] % 5), (data[1] & 1) != 0, (data[1] & 2) != 0 ? "alice" : ""};
  std::vector<std::string_view> flights;
  while (!input.empty()) {
    const auto mark = input.find('\xff');
    flights.push_back(input.substr(0, mark));
    input.remove_prefix(mark == std::string_view::npos ? input.size() : mark + 1);
  }
  const auto whole = run(visit, flights);
  // Byte by byte, save that a first byte takes along what TLS reads with it, and that requests must come alone.
  std::vector<std::string_view> dripping;
  for (const auto flight : flights) {
    if (flight.starts_with('\x16') && dripping.empty()) {
      dripping.push_back(flight);
      continue;
    }
    for (std::size_t i = 0; i < flight.size(); ++i) dripping.push_back(flight.substr(i, 1));
  }
  const auto drips = run(visit, dripping);
  // Only what was smuggled along with a request may be told apart, and only by being refused.
  if (drips != whole) require(whole.steps.ends_with(letter(Step::refuse)));
  for (const auto flight : flights) {
    const auto kept = unbound_mechanisms(flight);
    require(kept.ends_with('\0') && kept.find(std::string_view("-PLUS\0", 6)) == std::string::npos &&
            kept.size() <= flight.size() + 1);
    static_cast<void>(misses_binding(flight));
  }
  return 0;
}
