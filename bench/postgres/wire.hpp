// What a client of PostgreSQL writes and reads (manual, "Frontend/Backend Protocol", 3.0), as far as the loader needs
// it: pure bytes, no socket. Never a password: who asks for one is not measured here.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace foreshadow::bench::pg {

// A statement with parameters $1 to $9 in its text, and the tag it must be answered with.
struct Statement {
  std::string_view sql;
  std::span<const std::string> parameters;
  std::string_view tag;
};

// `simple`: one Query with the parameters written into the text, as `pgbench -M simple` does. `extended`: Parse, Bind,
// Describe, Execute of the unnamed statement, and Sync, as `pgbench -M extended` does.
enum class Protocol { simple, extended };

void add_startup(std::string& out, std::string_view user, std::string_view database);
void add_statement(std::string& out, const Statement& statement, Protocol protocol);

struct Message {
  char type = 0;
  std::string_view body;  // valid until the reader is fed again
};

// Cuts what a server sends into messages.
class Reader {
 public:
  void feed(std::string_view bytes);
  // Nothing yet, or broken() is true: a length that no message has.
  std::optional<Message> next();
  bool broken() const { return broken_; }

 private:
  std::string buffer_;
  std::size_t at_ = 0;
  bool broken_ = false;
};

// A field of an ErrorResponse: 'C' is the SQLSTATE, 'V' the severity. Empty if it is not there.
std::string_view error_field(std::string_view body, char field);
// Of an Authentication message; 0 is welcome.
int authentication_code(std::string_view body);
// The tag of a CommandComplete.
std::string_view tag_of(std::string_view body);

}  // namespace foreshadow::bench::pg
