// The chunked transfer coding (RFC 9112, section 7.1), decoded as bytes come. Payload is handed out in place;
// extensions are dropped, trailers kept. Everything that an endless sender could grow is capped.
#pragma once

#include <cstdint>
#include <string>

#include "kinds/http/wire/head.hpp"

namespace foreshadow::kinds::http {

// What may stand between a chunk's size and its line's end (RFC 9112, section 7.1.1), a character at a time. Its
// content is dropped, but its grammar is kept to: where a quoted string ends is where two parsers part.
class ChunkExtensions {
 public:
  // False: `c` cannot stand here.
  bool take(char c);
  // May the line end here?
  bool whole() const { return at_ == At::name || at_ == At::value || at_ == At::closed; }

 private:
  enum class At { before, name_first, name, after_name, value_first, value, quoted, escaped, closed, after_value };
  At at_ = At::before;  // of the first ';'
};

class ChunkedDecoder {
 public:
  enum class State {
    more,     // everything given was consumed, and more is needed
    data,     // `data` is payload
    done,     // the body is complete; what is left of the input is not part of it
    refused,  // see refusal()
  };
  struct Step {
    State state = State::more;
    std::size_t consumed = 0;  // of the input, payload included
    std::string_view data;     // inside the input
  };
  // Never call again after done or refused.
  Step step(std::string_view in);
  const Refusal& refusal() const { return refusal_; }
  // After done: trailer lines, each with its CRLF, syntax checked, none that would change framing or routing.
  const std::string& trailers() const { return trailers_; }
  void reset() { *this = {}; }

 private:
  enum class At { size_first, size, extension, size_lf, payload, payload_cr, payload_lf, trailer, trailer_lf };
  Step refuse(const char* why);
  Step finish(std::size_t consumed);

  At at_ = At::size_first;
  std::uint64_t left_ = 0;
  std::size_t extension_bytes_ = 0;
  std::size_t line_bytes_ = 0;  // of the size's digits, or the trailer line, that is coming in
  ChunkExtensions extensions_;
  std::string trailers_;
  Refusal refusal_;
};

// RFC 9110, section 6.5.1: what frames, routes or authenticates must not come late.
bool may_be_trailer(std::string_view name);

// One chunk's frame: "<hex>\r\n". The payload and "\r\n" follow it.
void append_chunk_head(std::string& out, std::size_t size);

}  // namespace foreshadow::kinds::http
