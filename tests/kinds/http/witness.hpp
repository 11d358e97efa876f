// A service that remembers every byte it is sent and answers each request with that request's own bytes. It reads the
// way a naive service might be fooled into reading, and says so: a field that some parser could take for framing, and
// that is not the one plain field the gateway writes, is a fault. It shares no code with our codec.
#pragma once

#include <mutex>
#include <string>
#include <vector>

#include "kinds/http/net.hpp"

namespace foreshadow::kinds::http::testing {

// A request at the front of `bytes`, as the witness reads it.
struct Witnessed {
  enum class State { more, whole, fault };
  State state = State::more;
  std::string fault;
  std::string start;      // request line
  std::string body;       // without its framing
  std::size_t bytes = 0;  // of the whole request
};
Witnessed witness_request(std::string_view bytes);

// Takes a backend's connections over. Thread-safe: connections write, the test reads.
class Witness {
 public:
  explicit Witness(Backend& backend);
  // Everything received since the last forget(), in the order it came.
  std::string received() const;
  std::vector<std::string> faults() const;
  void forget();

 private:
  void serve(Stream& stream);
  mutable std::mutex mutex_;
  std::string received_;
  std::vector<std::string> faults_;
};

// What the gateway makes of a request: the one place in these tests that knows what it adds. `fields` and `framing` are
// lines with their CRLF.
std::string forwarded(const std::string& start, const std::string& fields = "", const std::string& framing = "",
                      const std::string& body = "", const std::string& host = "h");

}  // namespace foreshadow::kinds::http::testing
