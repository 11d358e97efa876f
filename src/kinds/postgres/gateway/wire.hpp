// Framing of PostgreSQL's frontend/backend protocol 3 (documentation chapter "Frontend/Backend Protocol"): where a
// message begins and ends, and nothing of what it means. Pure: bytes in, views out, no I/O and no copy.
//
// A message of a type that we must read whole is handed out only when it has arrived; the rows and copy data that make
// up the bulk are handed out piece by piece, so that a gigabyte never has to fit into memory. Lengths are checked
// against the server's own limits (PQ_SMALL_MESSAGE_LIMIT, PQ_LARGE_MESSAGE_LIMIT) before a single byte is waited for.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.hpp"

namespace foreshadow::kinds::pg_gateway {

enum class Origin { frontend, backend };

inline constexpr std::uint32_t startup_bytes_max = 10'000;
inline constexpr std::uint32_t small_bytes_max = 10'000;
inline constexpr std::uint32_t auth_bytes_max = 65'535;
inline constexpr std::uint32_t large_bytes_max = 0x3fffffff;
// Statements up to this size are read whole, to see what they do to the session; larger ones only pass through.
inline constexpr std::uint32_t inspect_bytes_max = 1 << 20;

// Part of the byte stream: the start of a message (with as much of its body as has arrived, at least what its type
// needs), or the continuation of one.
struct Piece {
  bool head = false;
  char type = 0;             // of the message it belongs to
  std::uint32_t length = 0;  // of the whole body, without the type byte and the length word
  std::string_view body;     // what this piece holds of it
  bool whole = false;        // the piece is a complete message
  std::size_t size = 0;      // bytes of the input that it covers, header included
};

class Framer {
 public:
  explicit Framer(Origin origin) : origin_(origin) {}
  // The first piece of `bytes`; nothing: more must arrive first. The caller then skips `size` bytes and asks again.
  // Errors (invalid): unknown type, a length below 4 or above the type's limit. The stream cannot be trusted
  // afterwards.
  Result<std::optional<Piece>> next(std::string_view bytes);
  // No message is half handed out.
  bool between_messages() const { return left_ == 0; }

 private:
  Origin origin_;
  char type_ = 0;
  std::uint32_t length_ = 0;
  std::uint32_t left_ = 0;  // bytes of the current message still to come
};

// The first packet of a connection has no type byte.
struct Startup {
  enum class Kind { session, cancel, ssl, gss };
  Kind kind = Kind::session;
  std::uint32_t version = 0;                                    // 3 << 16 | minor
  std::vector<std::pair<std::string, std::string>> parameters;  // in the client's order
  std::uint32_t pid = 0;                                        // cancel
  std::string secret;                                           // cancel

  // The last value given, as the server takes it; empty when there is none.
  std::string_view parameter(std::string_view name) const;
  std::string_view user() const { return parameter("user"); }
  std::string_view database() const;
  // Asks for a walsender ("replication" with anything but a false value).
  bool replication() const;
};

// Bytes of the startup packet at the front of `bytes`, known once its length word is there. Error: a hostile length.
Result<std::optional<std::size_t>> startup_size(std::string_view bytes);
// Requires a complete packet. Errors: unsupported version, unterminated or missing parameters.
Result<Startup> parse_startup(std::string_view packet);

// Takes a zero-terminated string off the front; nothing if it is not terminated.
std::optional<std::string_view> take_string(std::string_view& bytes);
std::uint32_t read_u32(std::string_view bytes);
void append_u32(std::string& out, std::uint32_t value);

}  // namespace foreshadow::kinds::pg_gateway
