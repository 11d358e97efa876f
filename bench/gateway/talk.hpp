// What the loader says on one connection and what it hears: requests go in with the number of a place, answers come out
// with it. HTTP/1.1 has one place, HTTP/2 as many as it was given streams. No sockets here: bytes in, bytes out.
#pragma once

#include <fmt/format.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "answer_scanner.hpp"

namespace foreshadow::bench {

struct Answer {
  std::size_t place = 0;
  int status = 0;  // 0: it was given up before its end (RST_STREAM)
};

class Talk {
 public:
  virtual ~Talk() = default;

  // Asks for the path it was made with, or if `write` is not 0 sends the write with this id. The place must be free.
  virtual void ask(std::size_t place, std::uint64_t write) = 0;
  // Takes bytes as they come and adds the answers that are whole now. False: they make no sense.
  virtual bool feed(std::string_view bytes, std::vector<Answer>& answers) = 0;
  // Adds what is to be sent.
  virtual void take_output(std::string& out) = 0;
  // False: the other side wants no more requests on this connection; what is under way may still be answered.
  virtual bool takes_more() const = 0;
};

class H1Talk final : public Talk {
 public:
  explicit H1Talk(const std::string& path)
      : read_(fmt::format("GET {} HTTP/1.1\r\n{}Accept: */*\r\n\r\n", path, kWho)) {}

  void ask(std::size_t, std::uint64_t write) override {
    scanner_.reset();
    if (write == 0)
      output_ += read_;
    else
      output_ += fmt::format("POST /write HTTP/1.1\r\n{}Write-Id: {}\r\nContent-Length: 0\r\n\r\n", kWho, write);
  }

  bool feed(std::string_view bytes, std::vector<Answer>& answers) override {
    switch (scanner_.feed(bytes)) {
      case AnswerScanner::Found::more:
        return true;
      case AnswerScanner::Found::malformed:
        return false;
      case AnswerScanner::Found::complete:
        answers.push_back({.status = scanner_.status()});
        return true;
    }
    return false;
  }

  void take_output(std::string& out) override {
    out += output_;
    output_.clear();
  }

  bool takes_more() const override { return !scanner_.closes(); }

 private:
  static constexpr std::string_view kWho = "Host: bench.example\r\nUser-Agent: foreshadow-bench\r\n";

  const std::string read_;
  std::string output_;
  AnswerScanner scanner_;
};

}  // namespace foreshadow::bench
