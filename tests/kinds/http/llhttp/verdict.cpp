// Says what our codec makes of a stream of HTTP/1 messages, so that a script can hold it against another parser's word.
// Standard input: any number of "<request|response|head> <bytes>\n" and that many bytes; `head` is an answer to HEAD.
// Standard output: one line of JSON for each, byte strings in hexadecimal:
//   {"messages": [{"start": [..], "fields": [[name, value]..], "body": .., "whole": true}..],
//    "end": "idle" | "more" | "closed" | "upgrade" | "refused", "rest": bytes not used, "at": where the last message
//    began, "why": ..}
// It takes messages off the stream as a session does, and does nothing else of a session's.
#include <cstdio>
#include <iostream>
#include <string>

#include "kinds/http/wire/chunked.hpp"
#include "kinds/http/wire/framing.hpp"
#include "kinds/http/wire/rewrite.hpp"
#include "kinds/http/wire/text.hpp"

namespace foreshadow::kinds::http {
namespace {

std::string quoted_hex(std::string_view bytes) {
  std::string out = "\"";
  char two[3];
  for (const char c : bytes) {
    std::snprintf(two, sizeof two, "%02x", static_cast<unsigned>(static_cast<unsigned char>(c)));
    out += two;
  }
  return out + "\"";
}

class Verdict {
 public:
  Verdict(std::string_view in, bool requests, std::string_view method)
      : all_(in), in_(in), requests_(requests), method_(method) {}

  std::string line() {
    while (end_.empty() && !in_.empty()) take();
    return "{\"messages\": [" + messages_ + "], \"end\": \"" + (end_.empty() ? "idle" : end_) +
           "\", \"rest\": " + std::to_string(in_.size()) + ", \"at\": " + std::to_string(at_) + ", \"why\": \"" + why_ +
           "\"}";
  }

 private:
  void refuse(const Refusal& refusal) {
    end_ = "refused";
    why_ = refusal.why;
  }

  void take() {
    at_ = all_.size() - in_.size();
    const Limits limits;
    HeadScanner scanner;
    const auto found = scanner.scan(in_, limits);
    if (found == HeadScanner::Found::refused) return refuse(scanner.refusal());
    if (found == HeadScanner::Found::more) {
      end_ = "more";
      return;
    }
    const auto text = in_.substr(scanner.begin(), scanner.end() - scanner.begin());
    in_.remove_prefix(scanner.end());
    if (requests_) {
      const auto head = parse_request_head(text, limits);
      if (!head) return refuse(head.error());
      const auto framing = request_framing(*head);
      if (!framing) return refuse(framing.error());
      const auto connection = read_connection(head->fields);
      begin_message(quoted_hex(head->method) + ", " + quoted_hex(head->target), head->fields);
      end_message(*framing);
      if (end_.empty() && connection.upgrade) end_ = "upgrade";
      if (end_.empty() && !persistent(connection, head->minor)) end_ = "closed";
      return;
    }
    if (scanner.begin() != 0) return refuse({502, "empty line before the status line"});
    const auto head = parse_response_head(text, limits);
    if (!head) return refuse(head.error());
    const auto framing = response_framing(*head, method_);
    if (!framing) return refuse(framing.error());
    begin_message("\"" + std::to_string(head->status) + "\", " + quoted_hex(head->reason), head->fields);
    end_message(*framing);
    if (end_.empty() && head->status == 101) end_ = "upgrade";
    if (end_.empty() && head->status >= 200 && !persistent(read_connection(head->fields), head->minor)) end_ = "closed";
  }

  void begin_message(const std::string& start, const std::vector<Field>& fields) {
    messages_ += messages_.empty() ? "" : ", ";
    messages_ += "{\"start\": [" + start + "], \"fields\": [";
    for (std::size_t i = 0; i < fields.size(); ++i)
      messages_ += (i ? ", [" : "[") + quoted_hex(fields[i].name) + ", " + quoted_hex(fields[i].value) + "]";
    messages_ += "], \"body\": ";
  }

  void end_message(const Framing& framing) {
    std::string body;
    bool whole = true;
    if (framing.kind == BodyKind::length) {
      body = in_.substr(0, framing.length);
      in_.remove_prefix(body.size());
      whole = body.size() == framing.length;
    } else if (framing.kind == BodyKind::until_close) {
      body = in_;
      in_ = {};
      whole = false;
    } else if (framing.kind == BodyKind::chunked) {
      whole = take_chunks(body);
    }
    messages_ += quoted_hex(body) + ", \"whole\": " + (whole ? "true" : "false") + "}";
    if (!whole && end_.empty()) end_ = "more";
  }

  bool take_chunks(std::string& body) {
    ChunkedDecoder decoder;
    while (!in_.empty()) {
      const auto step = decoder.step(in_);
      if (step.state == ChunkedDecoder::State::refused) {
        refuse(decoder.refusal());
        return false;
      }
      body += step.data;
      in_.remove_prefix(step.consumed);
      if (step.state == ChunkedDecoder::State::done) return true;
    }
    return false;
  }

  std::string_view all_;
  std::string_view in_;
  const bool requests_;
  const std::string_view method_;
  std::size_t at_ = 0;
  std::string messages_, end_, why_;
};

}  // namespace
}  // namespace foreshadow::kinds::http

int main() {
  std::string kind, bytes;
  std::size_t size = 0;
  while (std::cin >> kind >> size && std::cin.get() == '\n') {
    bytes.resize(size);
    if (!std::cin.read(bytes.data(), static_cast<std::streamsize>(size))) return 1;
    std::cout << foreshadow::kinds::http::Verdict(bytes, kind == "request", kind == "head" ? "HEAD" : "GET").line()
              << '\n';
  }
}
