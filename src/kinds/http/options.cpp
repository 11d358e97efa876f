#include "kinds/http/options.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>

#include "base/units.hpp"
#include "io/tls_context.hpp"
#include "io/tls_files.hpp"
#include "kinds/http/option_text.hpp"
#include "kinds/http/upstream_options.hpp"

namespace foreshadow::kinds::http {
namespace {

// A limit of HTTP/2, as a size ("64KiB") or a plain number.
struct H2Limit {
  const char* name;
  std::uint32_t h2::Settings::* value;
  std::uint64_t min, max;
};
// Windows: RFC 9113, section 6.9.1, and no less than a connection has before the first SETTINGS. Frames: section 4.2.
// The other bounds are those that nghttp2 keeps by itself.
constexpr std::array kH2Limits{
    H2Limit{"h2_streams_max", &h2::Settings::streams_max, 1, 10'000},
    H2Limit{"h2_stream_window", &h2::Settings::stream_window, 1024, 0x7fffffff},
    H2Limit{"h2_connection_window", &h2::Settings::connection_window, 65'535, 0x7fffffff},
    H2Limit{"h2_frame_bytes_max", &h2::Settings::frame_bytes_max, 16'384, 16'777'215},
    H2Limit{"h2_resets_max", &h2::Settings::resets_max, 1, 1000},
    H2Limit{"h2_idle_frames_max", &h2::Settings::idle_frames_max, 100, 1'000'000},
    H2Limit{"h2_continuations_max", &h2::Settings::continuations_max, 1, 8},
};

Result<void> set_h2(h2::Settings& settings, const H2Limit& limit, const std::string& text) {
  FS_TRY(value, parse_bytes(text));
  if (value < limit.min || value > limit.max)
    return fail(Code::invalid, fmt::format("must lie between {} and {}", limit.min, limit.max));
  settings.*limit.value = static_cast<std::uint32_t>(value);
  return {};
}

bool is_server_name(const std::string& text) {
  if (text.empty() || text.size() > 253) return false;
  for (const char c : text)
    if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
          c == '_' || c == ':'))
      return false;
  return true;
}

Result<double> parse_share(const std::string& text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || !(value > 0 && value <= 1))
    return fail(Code::invalid, "must be a number above 0, and 1 at most");
  return value;
}

Result<bool> parse_flow(const std::string& text) {
  if (text != "flow" && text != "park") return fail(Code::invalid, "must be flow or park");
  return text == "flow";
}

// What requests are told by: nothing if it is another option.
std::optional<Result<void>> set_telling(HttpOptions& options, const std::string& name, const std::string& text) {
  using Ids = IdentityRules::Ids;
  using Traces = IdentityRules::Traces;
  const auto set = [&]() -> Result<void> {
    if (name == "access_log") {
      if (text.empty()) return fail(Code::invalid, "must be the path of a file; leave it out for no log");
      options.access_log = text;
    } else if (name == "access_log_sample") {
      FS_TRY(value, parse_share(text));
      options.access_log_sample = value;
    } else if (name == "access_log_query") {
      if (text != "keep" && text != "drop") return fail(Code::invalid, "must be keep or drop");
      options.access_log_query = text == "keep";
    } else if (name == "request_id") {
      if (text != "pass" && text != "make" && text != "off") return fail(Code::invalid, "must be pass, make or off");
      options.identity.request_id = text == "pass" ? Ids::pass : text == "make" ? Ids::make : Ids::off;
    } else {
      if (text != "pass" && text != "start" && text != "off") return fail(Code::invalid, "must be pass, start or off");
      options.identity.trace = text == "pass" ? Traces::pass : text == "start" ? Traces::start : Traces::off;
    }
    return {};
  };
  constexpr std::array<std::string_view, 5> names{"access_log", "access_log_sample", "access_log_query", "request_id",
                                                  "trace"};
  if (std::ranges::find(names, name) == names.end()) return std::nullopt;
  return set();
}

// What only makes sense together.
Result<void> check_together(const HttpOptions& options, const Options& given) {
  if (options.access_log.empty())
    for (const auto* name : {"access_log_sample", "access_log_query"})
      if (given.contains(name))
        return fail(Code::invalid, fmt::format("option {}: there is no log to use it for; add access_log: FILE", name));
  const auto& pair = options.upstream.certificate;
  if (options.upstream_tls == UpstreamTls::off)
    for (const auto* name :
         {"upstream_ca_file", "upstream_server_name", "upstream_certificate_file", "upstream_key_file"})
      if (given.contains(name))
        return fail(Code::invalid,
                    fmt::format("option {}: there is no TLS to use it for; add upstream_tls: verify", name));
  if (options.upstream_tls == UpstreamTls::insecure && !options.upstream.ca_file.empty())
    return fail(Code::invalid,
                "option upstream_ca_file: upstream_tls: insecure asks no authority; write verify instead");
  if (pair.certificate_file.empty() != pair.key_file.empty())
    return fail(Code::invalid, fmt::format("option {}: the certificate and its key belong together; add {}",
                                           pair.key_file.empty() ? "upstream_certificate_file" : "upstream_key_file",
                                           pair.key_file.empty() ? "upstream_key_file" : "upstream_certificate_file"));
  return {};
}

Result<void> set(HttpOptions& options, const std::string& name, const std::string& text) {
  if (auto done = set_telling(options, name, text)) return *done;
  if (name == "probe_path") {
    if (!text.starts_with('/')) return fail(Code::invalid, "must begin with '/'");
    for (const char c : text)
      if (c <= 0x20 || c >= 0x7f || c == '#') return fail(Code::invalid, "holds a character that no URL path may");
    options.probe_path = text;
  } else if (name == "probe_timeout") {
    FS_TRY(value, positive_duration(text));
    options.probe_timeout = value;
  } else if (name == "probe_interval") {
    FS_TRY(value, positive_duration(text));
    options.probe_interval = value;
  } else if (name == "probe_successes") {
    FS_TRY(value, parse_count(text, 1, 1000));
    options.probe_successes = static_cast<int>(value);
  } else if (name == "sticky") {
    FS_TRY(value, parse_sticky(text));
    options.sticky = value;
  } else if (name == "trust_forwarded") {
    FS_TRY(value, parse_bool(text));
    options.trust_forwarded = value;
  } else if (name == "request_timeout") {
    FS_TRY(value, positive_duration(text));
    options.request_timeout = value;
  } else if (name == "reads_in_hold") {
    FS_TRY(value, parse_flow(text));
    options.reads_flow = value;
  } else if (name == "max_body") {
    FS_TRY(value, parse_bytes(text));
    options.max_body = value;
  } else if (name == "upgrade_on_hold") {
    if (text != "close" && text != "wait") return fail(Code::invalid, "must be close or wait");
    options.upgrade_on_hold = text == "close" ? UpgradeOnHold::close : UpgradeOnHold::wait;
  } else if (name == "upgrade_close_within") {
    FS_TRY(value, positive_duration(text));
    options.upgrade_close_within = value;
  } else if (name == "move_long_lived_within") {
    FS_TRY(value, positive_duration(text));
    options.move_long_lived_within = value;
  } else if (name == "grpc_lasts_after") {
    FS_TRY(value, positive_duration(text));
    options.grpc_lasts_after = value;
  } else if (name == "h2") {
    if (text == "only") {
      options.h2.offer = h2::Offer::only;
    } else if (auto value = parse_bool(text)) {
      options.h2.offer = *value ? h2::Offer::both : h2::Offer::http1;
    } else {
      return fail(Code::invalid, "must be true, false or only");
    }
  } else if (const auto* limit = std::ranges::find(kH2Limits, name, &H2Limit::name); limit != kH2Limits.end()) {
    FS_CHECK(set_h2(options.h2, *limit, text));
  } else if (is_client_limit(name)) {
    FS_CHECK(set_client_limit(options.clients, name, text));
  } else if (is_mirror_option(name)) {
    FS_CHECK(set_mirror_option(options.mirror, name, text));
  } else if (is_upstream_option(name)) {
    FS_CHECK(set_upstream_option(options.upstream_h2, name, text));
  } else if (name == "upstream_tls") {
    if (text != "off" && text != "verify" && text != "insecure")
      return fail(Code::invalid, "must be off, verify or insecure");
    options.upstream_tls = text == "off"      ? UpstreamTls::off
                           : text == "verify" ? UpstreamTls::verify
                                              : UpstreamTls::insecure;
    options.upstream.verify = text != "insecure";
  } else if (name == "upstream_ca_file") {
    options.upstream.ca_file = text;
  } else if (name == "upstream_certificate_file") {
    options.upstream.certificate.certificate_file = text;
  } else if (name == "upstream_key_file") {
    options.upstream.certificate.key_file = text;
  } else if (name == "upstream_server_name") {
    if (!is_server_name(text)) return fail(Code::invalid, "must be a host name or an IP address, without a port");
    options.upstream_server_name = text;
  } else {
    return fail(Code::invalid, "is not an option of http");
  }
  return {};
}

}  // namespace

std::vector<OptionInfo> option_infos() {
  std::vector<OptionInfo> infos{
      {"probe_path", "path whose 2xx answer means healthy (default /healthz)"},
      {"probe_timeout", "a probe slower than this failed (default 2s)"},
      {"probe_interval", "pause between the probes of a shadow that comes up (default 250ms)"},
      {"probe_successes", "good probes in a row before a shadow is ready (default 3)"},
      {"sticky",
       "what stays on its side while the weight grows: connection (default), address, cookie (the gateway's own), "
       "cookie:NAME, header:NAME; or request, which draws afresh each time"},
      {"trust_forwarded", "true behind another proxy: its X-Forwarded-Proto is passed on (default false)"},
      {"upstream_tls", "to instances: off (default), verify, or insecure (any certificate will do)"},
      {"upstream_ca_file", "authorities that vouch for instances (default: the system's)"},
      {"upstream_server_name",
       "whom an instance's certificate must be for (default: the host of its address); an instance's attribute "
       "tls_server_name outranks it"},
      {"upstream_certificate_file", "our own certificate, for instances that ask for one"},
      {"upstream_key_file", "the key of upstream_certificate_file"},
      {"max_body", "a longer request body is refused with 413 (default 0: any length)"},
      {"request_timeout",
       "the longest that a request may take in all, in a hold and in a queue, too, until its answer is sent (default: "
       "none)"},
      {"reads_in_hold",
       "safe requests (GET, HEAD, OPTIONS) of segments that do not write: flow (default) to the old side while a hold "
       "parks the rest, or park with it"},
      {"upgrade_on_hold",
       "what becomes of WebSockets and other upgraded connections when a hold begins: close (default; clients connect "
       "again and wait for the switch), or wait for their end"},
      {"upgrade_close_within",
       "an upgraded connection whose client does not leave within this of a hold's beginning is cut; keep it below "
       "policy.hold.budget (default 150ms)"},
      {"move_long_lived_within",
       "upgraded connections on a side that is no longer their client's are ended spread over this, and at an upgrade "
       "of "
       "the gateway those and HTTP/2's (default 10s)"},
      {"grpc_lasts_after",
       "a call of gRPC that goes on for longer moves as upgraded connections do; younger ones are waited for (default "
       "10s)"},
      {"access_log", "a file that gets one line of JSON for each request (default: none)"},
      {"access_log_sample", "the share of requests that get their line (default 1)"},
      {"access_log_query", "keep, or drop (default) what follows the '?' of a target: it may hold secrets"},
      {"request_id", "X-Request-Id: pass (default; a malformed one is dropped), make where there is none, or off"},
      {"trace",
       "W3C trace context: pass (default; what is not valid is dropped), start a trace where there is none, or off"},
      {"h2", "HTTP/2 to clients: true (default; a client that begins with its preface gets it), false, or only"},
      {"h2_streams_max", "HTTP/2: requests at once on one connection (default 100)"},
      {"h2_stream_window", "HTTP/2: bytes of one body that wait for the service (default 256KiB)"},
      {"h2_connection_window", "HTTP/2: bytes of all bodies of a connection that wait (default 1MiB)"},
      {"h2_frame_bytes_max", "HTTP/2: longest frame that is taken (default 16KiB)"},
      {"h2_resets_max", "HTTP/2: requests given up in a row before the connection is ended (default 200)"},
      {"h2_idle_frames_max", "HTTP/2: frames in a row that do nothing before the connection is ended (default 1000)"},
      {"h2_continuations_max", "HTTP/2: CONTINUATION frames of one header section (default 8)"},
  };
  for (auto& info : upstream_option_infos()) infos.push_back(std::move(info));
  for (auto& info : mirror_option_infos()) infos.push_back(std::move(info));
  for (auto& info : client_limit_infos()) infos.push_back(std::move(info));
  return infos;
}

Result<HttpOptions> parse_options(const Options& options) {
  HttpOptions parsed;
  for (const auto& [name, text] : options)
    if (auto done = set(parsed, name, text); !done)
      return fail(Code::invalid, fmt::format("option {}: '{}' {}", name, text, done.error().what));
  FS_CHECK(check_together(parsed, options));
  FS_CHECK(check_upstream_options(parsed.upstream_h2, options));
  return parsed;
}

std::vector<OptionInfo> segment_option_infos() {
  std::vector<OptionInfo> infos{
      {"sticky", "as the resource's own option, for this segment"},
      {"timeout", "longest wait for the service, in place of listener.upstream_timeout"},
      {"request_timeout", "as the resource's own option, for this segment"},
      {"reads_in_hold", "flow or park: whether its safe requests go on in a hold (default: flow unless it writes)"},
      {"idempotency_key",
       "a header by which the service tells repeated writes apart, as in Idempotency-Key: one that carries it may be "
       "sent a second time"},
  };
  for (auto& info : insurance_option_infos()) infos.push_back(std::move(info));
  return infos;
}

Result<SegmentOptions> parse_segment_options(const Options& options) {
  SegmentOptions parsed;
  const auto set_own = [&](const std::string& name, const std::string& text) -> Result<void> {
    if (name == "sticky") {
      FS_TRY(value, parse_sticky(text));
      parsed.sticky = value;
    } else if (name == "timeout") {
      FS_TRY(value, positive_duration(text));
      parsed.timeout = value;
    } else if (name == "request_timeout") {
      FS_TRY(value, positive_duration(text));
      parsed.request_timeout = value;
    } else if (name == "reads_in_hold") {
      FS_TRY(value, parse_flow(text));
      parsed.reads_flow = value;
    } else if (name == "idempotency_key") {
      FS_TRY(value, parse_key_name(text));
      parsed.idempotency_key = std::move(value);
    } else if (is_insurance_option(name)) {
      FS_CHECK(set_insurance_option(parsed.insurance, name, text));
    } else {
      return fail(Code::invalid, "is not an option of one segment");
    }
    return {};
  };
  for (const auto& [name, text] : options)
    if (auto done = set_own(name, text); !done)
      return fail(Code::invalid, fmt::format("option {}: '{}' {}", name, text, done.error().what));
  return parsed;
}

Result<void> check_files(const HttpOptions& options) {
  if (!options.access_log.empty())
    if (const auto folder = std::filesystem::path(options.access_log).parent_path();
        !folder.empty() && !std::filesystem::is_directory(folder))
      return fail(Code::invalid, fmt::format("option access_log: there is no directory {}", folder.string()));
  if (options.upstream_tls == UpstreamTls::off) return {};
  const auto blame = [](const char* option, const Error& error) {
    return fail(error.code, fmt::format("option {}: {}", option, error.what));
  };
  if (const auto read = io::read_authorities(options.upstream.ca_file); !read)
    return blame("upstream_ca_file", read.error());
  const auto& files = options.upstream.certificate;
  if (files.certificate_file.empty()) return {};
  const auto certificate = io::read_certificate(files.certificate_file);
  if (!certificate) return blame("upstream_certificate_file", certificate.error());
  const auto key = io::read_private_key(files.key_file);
  if (!key) return blame("upstream_key_file", key.error());
  if (const auto fits = io::check_key_fits(*certificate, *key, files.key_file); !fits)
    return blame("upstream_key_file", fits.error());
  return {};
}

std::string tls_server_name(const Instance& instance, const std::string& configured) {
  if (const auto own = instance.attributes.find("tls_server_name"); own != instance.attributes.end())
    return own->second;
  return configured.empty() ? instance.endpoint.host : configured;
}

Result<io::HttpTls> probe_tls(const HttpOptions& options, const Instance& instance) {
  if (options.upstream_tls == UpstreamTls::off) return io::HttpTls{};
  FS_TRY(client, io::TlsClient::load(options.upstream));
  return io::HttpTls{std::move(client), tls_server_name(instance, options.upstream_server_name)};
}

}  // namespace foreshadow::kinds::http
