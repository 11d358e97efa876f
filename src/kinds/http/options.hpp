// The settings that only HTTP has, out of the flat text of the configuration.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "base/time.hpp"
#include "domain/resource.hpp"
#include "io/http_client.hpp"
#include "io/tls_settings.hpp"
#include "kinds/http/client_limits.hpp"
#include "kinds/http/h2/settings.hpp"
#include "kinds/http/h2client/settings.hpp"
#include "kinds/http/insurance_options.hpp"
#include "kinds/http/mirror_options.hpp"
#include "kinds/http/sticky.hpp"
#include "kinds/http/wire/identity.hpp"
#include "kinds/kind.hpp"

namespace foreshadow::kinds::http {

enum class UpstreamTls {
  off,
  verify,    // the certificate must lead to an authority we trust, and be for the server's name
  insecure,  // any certificate will do: no protection from whoever stands between
};

// What becomes of connections that were switched to another protocol when a hold begins.
enum class UpgradeOnHold {
  close,  // they are seen out
  wait,   // nothing is closed: the hold succeeds if they end by themselves within its budget
};

struct HttpOptions {
  std::string probe_path = "/healthz";
  Millis probe_timeout{2000};
  Millis probe_interval{250};
  int probe_successes = 3;  // in a row, before a shadow counts as ready
  Sticky sticky;
  bool trust_forwarded = false;  // X-Forwarded-Proto of clients, who are proxies themselves, is passed on
  MirrorOptions mirror;
  ClientLimits clients;
  Millis request_timeout{0};   // of a whole request; 0: none
  bool reads_flow = true;      // in a hold, where a segment does not write
  std::uint64_t max_body = 0;  // bytes of a request body; 0: any
  UpgradeOnHold upgrade_on_hold = UpgradeOnHold::close;
  Millis upgrade_close_within{150};  // at a hold: half of what its budget is by default
  Millis move_long_lived_within{10'000};
  Millis grpc_lasts_after{10'000};  // a call of gRPC that is older is moved as an upgraded connection is
  std::string access_log;           // a file; empty: none
  double access_log_sample = 1;     // the share of requests that are written down
  bool access_log_query = false;
  IdentityRules identity;
  h2::Settings h2;
  UpstreamTls upstream_tls = UpstreamTls::off;
  io::TlsClientSettings upstream;
  std::string upstream_server_name;  // empty: the host of the instance's address
  h2client::Settings upstream_h2;
};

std::vector<OptionInfo> option_infos();
// Error: invalid, naming the option and what it may be.
Result<HttpOptions> parse_options(const Options& options);
// Do the files that the options name hold what they should? Errors: as io/tls_files, naming the option.
Result<void> check_files(const HttpOptions& options);

// Whom an instance's certificate must be for: its attribute `tls_server_name`, else `configured`, else the host of its
// address.
std::string tls_server_name(const Instance& instance, const std::string& configured);
// For probes of an instance. Error: a file that cannot be used.
Result<io::HttpTls> probe_tls(const HttpOptions& options, const Instance& instance);

// What one segment may have for itself, in place of the resource's.
struct SegmentOptions {
  std::optional<Sticky> sticky;
  std::optional<Millis> timeout;  // in place of the listener's upstream_timeout
  std::optional<Millis> request_timeout;
  std::optional<bool> reads_flow;  // safe methods go on in a hold
  std::string idempotency_key;    // a header, in lower case; empty: none
  InsuranceOptions insurance;
};
std::vector<OptionInfo> segment_option_infos();
// Error: invalid, naming the option and what it may be.
Result<SegmentOptions> parse_segment_options(const Options& options);

}  // namespace foreshadow::kinds::http
