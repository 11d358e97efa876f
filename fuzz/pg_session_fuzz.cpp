// A session's state as the gateway follows it: what client and server say, in any order that either may choose to lie
// in, into tracker and script; and what servers answer to the gateway's own questions. Whatever comes, the script it
// leaves must be messages that a server can frame, with as many answers as announced, and never an idle session that is
// owed one.
//
// Each step of the input is a byte that picks side, message and, for what carries SQL, one of the texts below or bytes
// of its own.
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "kinds/postgres/gateway/locks.hpp"
#include "kinds/postgres/gateway/message.hpp"
#include "kinds/postgres/gateway/tracker.hpp"

using namespace foreshadow;
using namespace foreshadow::kinds::pg_gateway;

namespace {

constexpr std::array texts = {"SET a = 1",
                              "SET a = 2",
                              "SET LOCAL search_path = x",
                              "RESET a",
                              "RESET ALL",
                              "SET ROLE x",
                              "PREPARE p AS SELECT 1",
                              "DEALLOCATE p",
                              "DEALLOCATE ALL",
                              "DISCARD ALL",
                              "LISTEN x",
                              "UNLISTEN *",
                              "EXECUTE p",
                              "BEGIN",
                              "COMMIT",
                              "ROLLBACK",
                              "ROLLBACK TO s",
                              "SELECT pg_advisory_lock(1)",
                              "CREATE TEMP TABLE t()",
                              "SET a = 1; PREPARE q AS SELECT 1; LISTEN y",
                              "SELECT set_config('a', 'b', true)"};

class Input {
 public:
  explicit Input(std::string_view bytes) : bytes_(bytes) {}
  bool empty() const { return bytes_.empty(); }
  unsigned byte() {
    if (bytes_.empty()) return 0;
    const auto b = static_cast<unsigned char>(bytes_.front());
    bytes_.remove_prefix(1);
    return b;
  }
  std::string text() {
    const unsigned which = byte();
    if (which < texts.size()) return texts[which];
    const auto n = std::min<std::size_t>(which % 32, bytes_.size());
    std::string own(bytes_.substr(0, n));
    bytes_.remove_prefix(n);
    std::erase(own, '\0');
    return own;
  }
  std::string name() { return std::array{"", "p", "q", "r"}[byte() % 4]; }

 private:
  std::string_view bytes_;
};

std::string z(std::string text) { return text + '\0'; }

void check(const std::vector<Script::Step>& steps) {
  for (const auto& step : steps) {
    Framer framer(Origin::frontend);
    int ready = 0;
    for (std::string_view left = step.bytes; !left.empty();) {
      const auto piece = framer.next(left);
      if (!piece || !*piece || !(*piece)->whole) std::abort();
      ready += (*piece)->type == 'Q' || (*piece)->type == 'S';
      left.remove_prefix((*piece)->size);
    }
    if (ready != step.ready) std::abort();
  }
}

void tell(Tracker& t, char type, const std::string& body, bool client) {
  const Piece piece{.head = true,
                    .type = type,
                    .length = static_cast<std::uint32_t>(body.size()),
                    .body = body,
                    .whole = true,
                    .size = body.size() + 5};
  if (client) {
    static_cast<void>(t.frontend(piece));
  } else {
    t.backend(piece);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input in({reinterpret_cast<const char*>(data), size});
  Tracker t;
  std::uint64_t followed = 0;
  while (!in.empty()) {
    const unsigned op = in.byte();
    const bool client = (op & 1) != 0;
    if (client) {
      const char type = "QPBDCESFHdcfX"[op / 2 % 13];
      std::string body;
      if (type == 'Q') body = z(in.text());
      if (type == 'P') body = z(in.name()) + z(in.text()) + std::string(2, '\0');
      if (type == 'B') body = z("") + z(in.name()) + std::string(6, '\0');
      if (type == 'D' || type == 'C') body = z((op & 128 ? "P" : "S") + in.name());
      if (type == 'E') body = std::string(5, '\0');
      tell(t, type, body, true);
    } else {
      const char type = "123CZESGHTnIsNAd"[op / 2 % 16];
      std::string body;
      if (type == 'C') body = z(std::array{"SET", "COMMIT", "ROLLBACK", "SELECT 1"}[in.byte() % 4]);
      if (type == 'Z') body = std::array{"I", "T", "E"}[in.byte() % 3];
      if (type == 'S') body = z("standard_conforming_strings") + z(op & 128 ? "on" : "off");
      if (type == 'E') body = std::string("C22012\0Mx\0\0", 11);
      tell(t, type, body, false);
    }
    if (t.idle() && t.queued() > 0) std::abort();
    static_cast<void>(t.loss());
    static_cast<void>(t.pinned());
    const auto& script = t.script();
    if (script.version() < followed || script.horizon() > script.version()) std::abort();
    if (op % 16 == 0) {
      check(script.steps(0));
      check(script.steps(followed < script.horizon() ? 0 : followed));
      followed = script.version();
    }
  }
  check(t.script().steps(0));

  // The same bytes as a server's answer to our own questions.
  Exchange exchange(2);
  Framer framer(Origin::backend);
  for (std::string_view left(reinterpret_cast<const char*>(data), size); !left.empty();) {
    const auto piece = framer.next(left);
    if (!piece || !*piece) break;
    exchange.take(**piece);
    left.remove_prefix((*piece)->size);
  }
  for (const auto& answer : exchange.answers())
    if (auto locks = read_locks(answer)) {
      static_cast<void>(read_depths(answer, *locks));
      static_cast<void>(query_of_depths(*locks));
      static_cast<void>(all_taken(answer, *locks));
    }
  return 0;
}
