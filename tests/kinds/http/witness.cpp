#include "kinds/http/witness.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <cctype>

namespace foreshadow::kinds::http::testing {
namespace {

Witnessed fault(const std::string& what) { return {.state = Witnessed::State::fault, .fault = what}; }

// As a forgiving parser would read a name: without what is no character of a token, in any case, and, as services
// behind CGI do, with '_' for '-'.
std::string forgiven(std::string_view name) {
  std::string plain;
  for (const char c : name) {
    const auto u = static_cast<unsigned char>(c);
    if (c == '_' || c == '-')
      plain += '-';
    else if (u > ' ' && u < 0x7f && std::string_view("\"(),/:;<=>?@[\\]{}").find(c) == std::string_view::npos)
      plain += static_cast<char>(std::tolower(u));
  }
  return plain;
}

// Takes the next line off `in` without its CRLF; false if it is not there yet.
bool take_line(std::string_view& in, std::string_view& line) {
  const auto end = in.find("\r\n");
  if (end == std::string_view::npos) return false;
  line = in.substr(0, end);
  in.remove_prefix(end + 2);
  return true;
}

bool has_control(std::string_view line) {
  return std::ranges::any_of(line, [](char c) {
    const auto u = static_cast<unsigned char>(c);
    return (u < 0x20 && c != '\t') || u == 0x7f;
  });
}

// Chunks as the gateway writes them: plain lower-case sizes, nothing behind them.
Witnessed read_chunks(std::string_view in, std::size_t before, Witnessed request) {
  const auto all = in.size();
  std::string_view line;
  for (;;) {
    if (!take_line(in, line)) return {};
    if (line.empty() || line.size() > 15 || line.find_first_not_of("0123456789abcdef") != std::string_view::npos)
      return fault("chunk size '" + std::string(line) + "'");
    const auto size = std::stoull(std::string(line), nullptr, 16);
    if (size == 0) break;
    if (in.size() < size + 2) return {};
    if (in.substr(size, 2) != "\r\n") return fault("chunk without its end");
    request.body += in.substr(0, size);
    in.remove_prefix(size + 2);
  }
  for (;;) {
    if (!take_line(in, line)) return {};
    if (line.empty()) break;
    if (has_control(line)) return fault("control character in a trailer");
    const auto name = forgiven(line.substr(0, line.find(':')));
    if (name == "content-length" || name == "transfer-encoding" || name == "host") return fault("trailer " + name);
  }
  request.bytes = before + all - in.size();
  request.state = Witnessed::State::whole;
  return request;
}

}  // namespace

Witnessed witness_request(std::string_view bytes) {
  const auto end = bytes.find("\r\n\r\n");
  if (end == std::string_view::npos) return {};
  Witnessed request;
  request.bytes = end + 4;
  auto head = bytes.substr(0, end + 2);
  std::string_view line;
  take_line(head, line);
  if (has_control(line) || line.find('\t') != std::string_view::npos || std::ranges::count(line, ' ') != 2)
    return fault("request line '" + std::string(line) + "'");
  request.start = line;
  int hosts = 0, framings = 0;
  bool chunked = false;
  std::size_t length = 0;
  while (take_line(head, line)) {
    if (has_control(line)) return fault("control character in '" + std::string(line) + "'");
    if (line.empty() || line.front() == ' ' || line.front() == '\t') return fault("folded line");
    const auto colon = line.find(": ");
    if (colon == std::string_view::npos) return fault("field '" + std::string(line) + "'");
    const auto name = line.substr(0, colon), value = line.substr(colon + 2);
    const auto plain = forgiven(name);
    if (plain == "host") ++hosts;
    if (plain != "content-length" && plain != "transfer-encoding") continue;
    ++framings;
    if (name == "Transfer-Encoding" && value == "chunked") {
      chunked = true;
    } else if (name == "Content-Length" && !value.empty() && value.size() < 16 &&
               value.find_first_not_of("0123456789") == std::string_view::npos) {
      length = std::stoull(std::string(value));
      if (value != std::to_string(length)) return fault("length '" + std::string(value) + "'");
    } else {
      return fault("framing '" + std::string(line) + "'");
    }
  }
  if (hosts != 1) return fault(std::to_string(hosts) + " Host fields");
  if (framings > 1) return fault("framed twice");
  if (chunked) return read_chunks(bytes.substr(request.bytes), request.bytes, request);
  if (bytes.size() - request.bytes < length) return {};
  request.body = bytes.substr(request.bytes, length);
  request.bytes += length;
  request.state = Witnessed::State::whole;
  return request;
}

Witness::Witness(Backend& backend) {
  backend.handle_connections([this](Stream& stream) { serve(stream); });
}

void Witness::serve(Stream& stream) {
  std::string in;
  char buffer[65536];
  bool told = false;
  for (;;) {
    const auto n = recv(stream.fd(), buffer, sizeof buffer, 0);
    if (n <= 0) return;
    in.append(buffer, static_cast<std::size_t>(n));
    const std::lock_guard lock(mutex_);
    received_.append(buffer, static_cast<std::size_t>(n));
    for (;;) {
      const auto request = witness_request(in);
      if (request.state == Witnessed::State::fault) {
        faults_.push_back(request.fault);
        return;
      }
      if (request.state == Witnessed::State::more) {
        const auto head_end = in.find("\r\n\r\n");
        const bool waits = head_end != std::string::npos && in.find("Expect: 100-continue\r\n") < head_end;
        if (waits && !told) stream.send("HTTP/1.1 100 Continue\r\n\r\n");
        told = waits;
        break;
      }
      auto answer = ok(in.substr(0, request.bytes));
      if (request.start.starts_with("HEAD ")) answer.resize(answer.find("\r\n\r\n") + 4);
      in.erase(0, request.bytes);
      told = false;
      stream.send(answer);
    }
  }
}

std::string Witness::received() const {
  const std::lock_guard lock(mutex_);
  return received_;
}

std::vector<std::string> Witness::faults() const {
  const std::lock_guard lock(mutex_);
  return faults_;
}

void Witness::forget() {
  const std::lock_guard lock(mutex_);
  received_.clear();
  faults_.clear();
}

std::string forwarded(const std::string& start, const std::string& fields, const std::string& framing,
                      const std::string& body, const std::string& host) {
  return start + " HTTP/1.1\r\nHost: " + host + "\r\n" + fields +
         "X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: http\r\nVia: 1.1 foreshadow\r\n" + framing + "\r\n" + body;
}

}  // namespace foreshadow::kinds::http::testing
