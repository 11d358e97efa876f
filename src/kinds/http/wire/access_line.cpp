#include "kinds/http/wire/access_line.hpp"

#include <array>
#include <charconv>
#include <chrono>

namespace foreshadow::kinds::http {
namespace {

void append_number(std::string& out, std::int64_t value) {
  std::array<char, 20> digits;
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
  out.append(digits.data(), end);
}

void append_padded(std::string& out, unsigned value, int digits) {
  for (unsigned unit = digits == 4 ? 1000 : digits == 3 ? 100 : 10; unit > 0; unit /= 10)
    out += static_cast<char>('0' + value / unit % 10);
}

// RFC 3339, in UTC, with milliseconds.
void append_time(std::string& out, std::int64_t unix_ms) {
  using namespace std::chrono;
  const sys_time<milliseconds> at{milliseconds{unix_ms}};
  const auto day = floor<days>(at);
  const year_month_day date{day};
  const hh_mm_ss time{at - day};
  append_padded(out, static_cast<unsigned>(static_cast<int>(date.year())), 4);
  out += '-';
  append_padded(out, static_cast<unsigned>(date.month()), 2);
  out += '-';
  append_padded(out, static_cast<unsigned>(date.day()), 2);
  out += 'T';
  append_padded(out, static_cast<unsigned>(time.hours().count()), 2);
  out += ':';
  append_padded(out, static_cast<unsigned>(time.minutes().count()), 2);
  out += ':';
  append_padded(out, static_cast<unsigned>(time.seconds().count()), 2);
  out += '.';
  append_padded(out, static_cast<unsigned>(time.subseconds().count()), 3);
  out += 'Z';
}

// Bytes above ASCII are no text that we know the encoding of: each as the code point of its own value.
void append_escaped(std::string& out, std::string_view text) {
  constexpr std::string_view digits = "0123456789abcdef";
  for (const char c : text) {
    const auto u = static_cast<unsigned char>(c);
    if (u >= 0x20 && u < 0x7f && c != '"' && c != '\\') {
      out += c;
    } else {
      out += "\\u00";
      out += digits[u >> 4];
      out += digits[u & 15];
    }
  }
}

void append_key(std::string& out, std::string_view key) {
  out += ",\"";
  out.append(key).append("\":");
}

void append_text(std::string& out, std::string_view key, std::string_view value) {
  append_key(out, key);
  if (value.empty()) {
    out += "null";
    return;
  }
  out += '"';
  append_escaped(out, value);
  out += '"';
}

void append_value(std::string& out, std::string_view key, std::int64_t value, bool known = true) {
  append_key(out, key);
  if (known)
    append_number(out, value);
  else
    out += "null";
}

void append_flag(std::string& out, std::string_view key, bool value) {
  append_key(out, key);
  out += value ? "true" : "false";
}

// The '?' stays, to say that there was a query.
void append_target(std::string& out, std::string_view target, bool query) {
  if (!query)
    if (const auto mark = target.find('?'); mark != std::string_view::npos) target = target.substr(0, mark + 1);
  append_text(out, "target", target.substr(0, kLoggedTargetMax));
  if (target.size() > kLoggedTargetMax) out.insert(out.size() - 1, "...");
}

}  // namespace

void append_access_line(std::string& out, const AccessLine& line) {
  out += "{\"time\":\"";
  append_time(out, line.at_ms);
  out += '"';
  append_text(out, "resource", line.resource);
  append_text(out, "segment", line.segment);
  append_text(out, "side", line.side);
  append_text(out, "instance", line.instance);
  append_text(out, "client", line.client);
  append_flag(out, "tls", line.tls);
  append_text(out, "version", line.version);
  append_text(out, "method", line.method);
  append_target(out, line.target, line.query);
  append_value(out, "status", line.status, line.status != 0);
  append_value(out, "bytes_in", static_cast<std::int64_t>(line.bytes_in));
  append_value(out, "bytes_out", static_cast<std::int64_t>(line.bytes_out));
  append_value(out, "total_us", line.total_us);
  append_value(out, "wait_us", line.wait_us);
  append_value(out, "first_byte_us", line.first_byte_us, line.first_byte_us >= 0);
  append_flag(out, "mirrored", line.mirrored);
  append_flag(out, "retried", line.retried);
  append_flag(out, "insured", line.insured);
  append_text(out, "error", line.error);
  append_text(out, "request_id", line.request_id);
  append_text(out, "trace_id", line.trace_id);
  append_text(out, "span_id", line.span_id);
  out += '}';
}

}  // namespace foreshadow::kinds::http
