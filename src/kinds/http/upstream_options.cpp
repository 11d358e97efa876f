#include "kinds/http/upstream_options.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/units.hpp"
#include "kinds/http/option_text.hpp"

namespace foreshadow::kinds::http {
namespace {

using h2client::Settings;
using h2client::Speak;

struct Limit {
  const char* name;
  std::uint32_t Settings::* value;
  std::uint64_t min, max;
};
constexpr std::array kLimits{
    Limit{"upstream_h2_connections_max", &Settings::connections_max, 1, 1000},
    Limit{"upstream_h2_streams_max", &Settings::streams_max, 1, 10'000},
    // No less than HTTP/2 begins with (RFC 9113, section 6.9.2); answers of ordinary size then never wait.
    Limit{"upstream_h2_stream_window", &Settings::stream_window, 65'535, 16 << 20},
    Limit{"upstream_h2_idle_frames_max", &Settings::idle_frames_max, 100, 1'000'000},
};
struct Wait {
  const char* name;
  Millis Settings::* value;
};
constexpr std::array kWaits{
    Wait{"upstream_h2_ping_interval", &Settings::ping_interval},
    Wait{"upstream_h2_ping_timeout", &Settings::ping_timeout},
};

}  // namespace

std::vector<OptionInfo> upstream_option_infos() {
  return {
      {"upstream_http",
       "to instances: http1 (default), h2 (in the plain without asking, under TLS by ALPN), or auto (h2 where ALPN "
       "chooses it)"},
      {"upstream_h2_connections_max", "HTTP/2 connections to one instance (default 8); more requests wait for a place"},
      {"upstream_h2_streams_max",
       "requests at once on such a connection (default 100), where the instance does not allow fewer"},
      {"upstream_h2_stream_window", "bytes of one answer that wait for its client (default 256KiB, 65535 to 16MiB)"},
      {"upstream_h2_idle_frames_max",
       "frames in a row that do nothing before a connection to an instance is ended (default 1000)"},
      {"upstream_h2_ping_interval",
       "silence on a connection with requests before the instance is asked for a sign of life (default 5m: servers of "
       "gRPC end connections that ask more often)"},
      {"upstream_h2_ping_timeout", "an instance that gives none in this time is taken for dead (default 10s)"},
  };
}

bool is_upstream_option(std::string_view name) {
  return std::ranges::any_of(upstream_option_infos(), [&](const OptionInfo& info) { return info.name == name; });
}

Result<void> set_upstream_option(Settings& settings, const std::string& name, const std::string& text) {
  if (name == "upstream_http") {
    if (text != "http1" && text != "h2" && text != "auto") return fail(Code::invalid, "must be http1, h2 or auto");
    settings.speak = text == "http1" ? Speak::http1 : text == "h2" ? Speak::h2 : Speak::automatic;
    return {};
  }
  if (const auto* limit = std::ranges::find(kLimits, name, &Limit::name); limit != kLimits.end()) {
    FS_TRY(value, parse_bytes(text));
    if (value < limit->min || value > limit->max)
      return fail(Code::invalid, fmt::format("must lie between {} and {}", limit->min, limit->max));
    settings.*limit->value = static_cast<std::uint32_t>(value);
    return {};
  }
  FS_TRY(value, positive_duration(text));
  settings.*std::ranges::find(kWaits, name, &Wait::name)->value = value;
  return {};
}

Result<void> check_upstream_options(const Settings& settings, const Options& given) {
  if (settings.speak != Speak::http1) return {};
  for (const auto& [name, text] : given)
    if (name.starts_with("upstream_h2_"))
      return fail(Code::invalid,
                  fmt::format("option {}: there is no HTTP/2 to use it for; add upstream_http: h2, or auto", name));
  return {};
}

}  // namespace foreshadow::kinds::http
