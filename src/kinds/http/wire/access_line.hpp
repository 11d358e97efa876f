// One request as one line of JSON. Every key is there in every line, null where there is nothing to say; what clients
// chose is escaped to plain ASCII and cut, so that no line can be forged or made long. Knows nothing of header fields,
// and so of no secret in them. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace foreshadow::kinds::http {

inline constexpr std::size_t kLoggedTargetMax = 1024;  // characters of a target, before they are escaped

struct AccessLine {
  std::int64_t at_ms = 0;  // Unix time at the end of the request
  std::string_view resource;
  std::string_view segment;  // empty here and below: null
  std::string_view side;
  std::string_view instance;
  std::string_view client;
  bool tls = false;
  std::string_view version;
  std::string_view method;
  std::string_view target;
  bool query = true;           // false: what follows the '?' is left out
  int status = 0;              // 0: null, nothing was answered
  std::uint64_t bytes_in = 0;  // of bodies, without their framing
  std::uint64_t bytes_out = 0;
  std::int64_t total_us = 0;
  std::int64_t wait_us = 0;
  std::int64_t first_byte_us = -1;  // negative: null
  bool mirrored = false;
  bool retried = false;
  bool insured = false;
  std::string_view error;
  std::string_view request_id;
  std::string_view trace_id;
  std::string_view span_id;
};
// Without a line feed.
void append_access_line(std::string& out, const AccessLine& line);

}  // namespace foreshadow::kinds::http
