// The HTTP/1.1 codec, on the heads of requests and answers (http_chunked_fuzz.cpp has the bodies). Besides not
// crashing: how bytes are cut on their way must not matter, and what we write of a request that we took must be read
// back with the same method, target and body length, by a parser as strict as ours.
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>

#include "kinds/http/wire/framing.hpp"
#include "kinds/http/wire/match.hpp"
#include "kinds/http/wire/rewrite.hpp"

namespace {

using namespace foreshadow::kinds::http;

void require(bool condition) {
  if (!condition) std::abort();
}

// Where the head ends, or nothing, with `bytes` arriving in pieces of `step`.
std::optional<std::pair<std::size_t, std::size_t>> scan(std::string_view bytes, std::size_t step) {
  HeadScanner scanner;
  const Limits limits;
  for (std::size_t n = std::min(step, bytes.size());; n = std::min(n + step, bytes.size())) {
    switch (scanner.scan(bytes.substr(0, n), limits)) {
      case HeadScanner::Found::complete:
        return std::pair{scanner.begin(), scanner.end()};
      case HeadScanner::Found::refused:
        require(scanner.refusal().status >= 400);
        return std::nullopt;
      case HeadScanner::Found::more:
        break;
    }
    if (n == bytes.size()) return std::nullopt;
  }
}

void request(std::string_view bytes) {
  const auto head_at = scan(bytes, bytes.size());
  require(head_at == scan(bytes, 1));
  require(head_at == scan(bytes, 7));
  if (!head_at) return;
  const auto head = parse_request_head(bytes.substr(head_at->first, head_at->second - head_at->first), {});
  if (!head) return;
  const auto framing = request_framing(*head);
  if (!framing) return;
  std::string out;
  append_request(out, *head, read_connection(head->fields),
                 {.framing = *framing, .client_address = "192.0.2.1", .fallback_host = "h"});
  // Ours may be longer than theirs.
  const Limits wide{.head_bytes_max = 1 << 20, .target_bytes_max = 1 << 20, .fields_max = 1000};
  HeadScanner scanner;
  require(scanner.scan(out, wide) == HeadScanner::Found::complete && scanner.begin() == 0 &&
          scanner.end() == out.size());
  const auto again = parse_request_head(out, wide);
  require(again.has_value() && again->method == head->method && again->target == head->target);
  require(find_field(again->fields, "foreshadow-mirror") == nullptr);
  const auto reframed = request_framing(*again);
  require(reframed.has_value() && reframed->kind == framing->kind && reframed->length == framing->length);
}

void response(std::string_view bytes) {
  const auto head_at = scan(bytes, bytes.size());
  if (!head_at || head_at->first != 0) return;
  const auto head = parse_response_head(bytes.substr(0, head_at->second), {});
  if (!head) return;
  const auto framing = response_framing(*head, "GET");
  if (!framing) return;
  std::string out;
  append_response(out, *head, read_connection(head->fields), {.framing = *framing});
  const Limits wide{.head_bytes_max = 1 << 20, .target_bytes_max = 1 << 20, .fields_max = 1000};
  HeadScanner scanner;
  require(scanner.scan(out, wide) == HeadScanner::Found::complete && scanner.end() == out.size());
  const auto again = parse_response_head(out, wide);
  require(again.has_value() && again->status == head->status);
  const auto reframed = response_framing(*again, "GET");
  require(reframed.has_value() && reframed->kind == framing->kind && reframed->length == framing->length);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  if (bytes.starts_with("HTTP/"))
    response(bytes);
  else
    request(bytes);
  return 0;
}
