// A message body as it comes in over a connection: payload in place, framing taken off.
#pragma once

#include <optional>

#include "kinds/http/session/conn.hpp"
#include "kinds/http/wire/chunked.hpp"
#include "kinds/http/wire/framing.hpp"

namespace foreshadow::kinds::http {

class BodyReader {
 public:
  enum class State {
    data,     // `data` is payload, valid until the next call
    done,     // complete; the connection stands at the next message
    refused,  // malformed, see refusal()
    broken,   // the connection ended or timed out before the body did
  };
  BodyReader(Conn& conn, const Framing& framing);
  // What is there already, without waiting; nothing if that is all used and the body goes on.
  std::optional<State> ready();
  awaitable<State> next();
  std::string_view data() const { return data_; }
  const Refusal& refusal() const { return chunks_.refusal(); }
  // After done: lines with CRLF, empty unless chunked.
  const std::string& trailers() const { return chunks_.trailers(); }
  // All of it was handed out and used: the connection stands at the next message.
  bool complete() const { return complete_; }

 private:
  Conn& conn_;
  Framing framing_;
  std::uint64_t left_ = 0;
  ChunkedDecoder chunks_;
  std::string_view data_;
  std::size_t used_ = 0;  // of the connection's bytes, by `data_`
  bool complete_ = false;
};

}  // namespace foreshadow::kinds::http
