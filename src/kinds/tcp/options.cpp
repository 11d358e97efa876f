#include "kinds/tcp/options.hpp"

#include <fmt/format.h>

#include <charconv>

#include "base/units.hpp"

namespace foreshadow::kinds::tcp {
namespace {

// At most what a person would mean; a typing error must not become a deadline of days.
constexpr Millis kDurationMax{std::chrono::minutes{10}};
constexpr std::uint64_t kHeldMin = 64 << 10;
constexpr std::uint64_t kHeldMax = std::uint64_t{16} << 30;
constexpr std::size_t kProbeBytesMax = 1024;

Result<void> duration(const std::string& text, Millis& into) {
  FS_TRY(value, parse_duration(text));
  if (value <= Millis{0} || value > kDurationMax) return fail(Code::invalid, "must lie between 1ms and 10m");
  into = value;
  return {};
}

Result<void> probe_text(const std::string& text, std::string& into) {
  if (text.size() > kProbeBytesMax) return fail(Code::invalid, fmt::format("is longer than {} bytes", kProbeBytesMax));
  into = text;
  return {};
}

Result<void> set(TcpOptions& options, const std::string& name, const std::string& text) {
  if (name == "on_hold") {
    if (text != "wait" && text != "close" && text != "close_silent")
      return fail(Code::invalid, "must be wait, close or close_silent");
    options.on_hold = text == "wait" ? OnHold::wait : text == "close" ? OnHold::close : OnHold::close_silent;
  } else if (name == "sticky") {
    if (text != "connection" && text != "client") return fail(Code::invalid, "must be connection or client");
    options.sticky = text == "client" ? Sticky::client : Sticky::connection;
  } else if (name == "quiet_after") {
    return duration(text, options.quiet_after);
  } else if (name == "connect_timeout") {
    return duration(text, options.connect_timeout);
  } else if (name == "held_max") {
    FS_TRY(value, parse_bytes(text));
    if (value < kHeldMin || value > kHeldMax) return fail(Code::invalid, "must lie between 64KiB and 16GiB");
    options.held_max = value;
  } else if (name == "probe_send") {
    return probe_text(text, options.probe_send);
  } else if (name == "probe_expect") {
    return probe_text(text, options.probe_expect);
  } else if (name == "probe_timeout") {
    return duration(text, options.probe_timeout);
  } else if (name == "probe_interval") {
    return duration(text, options.probe_interval);
  } else if (name == "probe_successes") {
    int value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size() || value < 1 || value > 1000)
      return fail(Code::invalid, "must be a number from 1 to 1000");
    options.probe_successes = value;
  } else {
    return fail(Code::invalid, "is not an option of tcp");
  }
  return {};
}

}  // namespace

std::vector<OptionInfo> option_infos() {
  return {
      {"on_hold",
       "what becomes of open connections when a hold begins: wait for their end (default), close those at rest, or "
       "close_silent for one-way streams"},
      {"quiet_after", "a connection that was silent for so long may be closed by a hold or a shutdown (default 100ms)"},
      {"sticky", "connection: each draws its side afresh (default); client: all of one address are on one side"},
      {"connect_timeout", "an instance that takes no connection within this cannot be reached (default 5s)"},
      {"held_max", "bytes held for slow readers by all connections together (default 64MiB)"},
      {"probe_send", "what a probe says once it is connected (default: nothing)"},
      {"probe_expect", "what the instance must say in its first bytes to be healthy (default: a connection is enough)"},
      {"probe_timeout", "a probe slower than this failed (default 2s)"},
      {"probe_interval", "pause between the probes of a shadow that comes up (default 250ms)"},
      {"probe_successes", "good probes in a row before a shadow is ready (default 3)"},
  };
}

Result<TcpOptions> parse_options(const Options& options) {
  TcpOptions parsed;
  for (const auto& [name, text] : options)
    if (auto done = set(parsed, name, text); !done)
      return fail(Code::invalid, fmt::format("option {}: '{}' {}", name, text, done.error().what));
  if (!parsed.probe_send.empty() && parsed.probe_expect.empty())
    return fail(Code::invalid, "option probe_send: without probe_expect nobody reads the answer; add probe_expect");
  return parsed;
}

}  // namespace foreshadow::kinds::tcp
