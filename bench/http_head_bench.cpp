// What the HTTP/1.1 codec costs per request: finding the head's end and parsing it, the whole of what the gateway does
// with bytes before it chooses a side. A proxied request costs about 14 microseconds in all; this should stay below one
// of them.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <string>
#include <string_view>

#include "kinds/http/wire/head.hpp"

namespace {

using namespace foreshadow::kinds::http;

struct Sample {
  std::string_view name;
  std::string_view bytes;
};

constexpr std::array kSamples = {
    Sample{"probe", "GET /healthz HTTP/1.1\r\nHost: shop\r\n\r\n"},
    Sample{
        "browser",
        "GET /products/42?ref=mail HTTP/1.1\r\nHost: shop.example.org\r\n"
        "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n"
        "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\nAccept-Language: en-GB,en;q=0.5\r\n"
        "Accept-Encoding: gzip, deflate, br, zstd\r\nReferer: https://shop.example.org/products\r\nConnection: "
        "keep-alive\r\n"
        "Cookie: session=7f3a9c51d2e84b60a1c5; basket=3; theme=dark\r\nUpgrade-Insecure-Requests: 1\r\nPriority: u=0, "
        "i\r\n\r\n"},
    Sample{"order",
           "POST /orders HTTP/1.1\r\nHost: shop.example.org\r\nContent-Type: application/json\r\nContent-Length: 48\r\n"
           "Idempotency-Key: 0192f0c1-7b7e-7cc3-98c4-dc0c0c07398f\r\nAccept: application/json\r\n\r\n"},
};

// Nanoseconds per head, the best of several rounds: everything slower was the machine's doing, not ours.
double measure(std::string_view bytes) {
  constexpr int kRounds = 7;
  constexpr int kHeads = 200'000;
  double best = 1e9;
  std::size_t fields = 0;
  for (int round = 0; round < kRounds; ++round) {
    const auto began = std::chrono::steady_clock::now();
    for (int i = 0; i < kHeads; ++i) {
      HeadScanner scanner;
      if (scanner.scan(bytes, {}) != HeadScanner::Found::complete) std::abort();
      const auto head = parse_request_head(bytes.substr(scanner.begin(), scanner.end() - scanner.begin()), {});
      if (!head) std::abort();
      fields += head->fields.size();
    }
    const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - began;
    best = std::min(best, took.count() / kHeads);
  }
  // Used, so that the compiler cannot leave the parsing out.
  if (fields == 0) std::abort();
  return best;
}

}  // namespace

int main() {
  for (const auto& [name, bytes] : kSamples)
    fmt::print("http head, {:<8} {:4} bytes  {:7.0f} ns\n", name, bytes.size(), measure(bytes));
}
