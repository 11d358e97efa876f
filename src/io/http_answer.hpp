// Parses one HTTP/1.1 response (RFC 9112) to a GET, as its bytes arrive. Pure. Strict where a probe must not be fooled
// (status line, lengths, chunk sizes), with caps on everything: what a sick service says is not to be trusted.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace foreshadow::io {

class HttpAnswerParser {
 public:
  static constexpr std::size_t body_max = 64 << 10;  // kept; the rest need not be read
  static constexpr std::size_t head_max = 16 << 10;  // status line and headers of one response
  static constexpr int interim_max = 8;              // 1xx responses before the real one

  // True: the answer is complete, or as much of it as is kept. invalid: not HTTP.
  Result<bool> take(std::string_view bytes);
  // The connection was closed. invalid: in the middle.
  Result<void> end();

  bool began() const { return began_; }
  int status() const { return status_; }
  std::string& body() { return body_; }

 private:
  enum class Step { head, fixed, to_close, chunk_size, chunk, chunk_end, trailer, done };
  Result<bool> advance();
  Result<bool> read_head();
  Result<void> read_header(std::string_view line);
  Result<bool> read_chunk_size();
  bool keep(std::size_t count);

  Step step_ = Step::head;
  std::string pending_;
  std::string body_;
  int status_ = 0;
  int interim_ = 0;
  bool began_ = false, chunked_ = false, has_length_ = false;
  std::size_t left_ = 0, trailer_bytes_ = 0;
};

}  // namespace foreshadow::io
