#include "kinds/http/http_protocol.hpp"

#include <sys/random.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/assert.hpp"
#include "base/log.hpp"
#include "domain/gateway_report.hpp"
#include "kinds/http/session/access_log.hpp"
#include "kinds/http/session/insurer.hpp"
#include "kinds/http/session/session.hpp"

namespace foreshadow::kinds::http {
namespace {

namespace asio = boost::asio;

// Connections kept for each instance: more than a gateway's thread can keep busy.
constexpr std::size_t kIdleMax = 256;

std::vector<std::string> alpn_for(h2client::Speak speak) {
  switch (speak) {
    case h2client::Speak::http1:
      return {"http/1.1"};
    case h2client::Speak::h2:
      return {"h2"};
    case h2client::Speak::automatic:
      break;
  }
  return {"h2", "http/1.1"};
}

std::vector<std::string> alpn_for(h2::Offer offer) {
  switch (offer) {
    case h2::Offer::http1:
      return {"http/1.1"};
    case h2::Offer::only:
      return {"h2"};
    case h2::Offer::both:
      break;
  }
  return {"h2", "http/1.1"};
}

// Ids must differ from those of every other gateway, and of this one before its restart; no draw may follow what
// clients do.
std::uint64_t draw_seed() {
  std::uint64_t seed = 0;
  FS_ASSERT(getrandom(&seed, sizeof seed, 0) == sizeof seed);
  return seed;
}

class HttpProtocol final : public proxy::Protocol {
 public:
  explicit HttpProtocol(std::shared_ptr<Core> core) : core_(std::move(core)) {}
  // Before the loop's context goes, in which frames that hold the core may outlive us.
  ~HttpProtocol() override {
    if (core_->comparer) core_->comparer->stop();
  }

  asio::awaitable<void> serve(asio::ip::tcp::socket client, proxy::Gate& gate) override {
    try {
      Session session(core_, std::move(client), gate);
      co_await session.run();
    } catch (const boost::system::system_error& e) {
      // The gateway cut us off at the end of its shutdown.
      if (e.code() != asio::error::operation_aborted) log::error("{}: {}", core_->settings.resource, e.what());
    } catch (const std::exception& e) {
      log::error("{}: a session ended badly: {}", core_->settings.resource, e.what());
    }
  }
  void describe(GatewayReport& report) const override {
    if (core_->access_log) report.log_lines_dropped = core_->access_log->dropped();
    if (core_->insurer) core_->insurer->report(report.segments);
  }
  void rest_in(std::shared_ptr<proxy::RestRoom> room) override { core_->rest = std::move(room); }
  void retire() override {
    core_->watchdog->retire(core_->options.move_long_lived_within);
    core_->tunnels->retire();
  }
  void stop() override {
    core_->watchdog->stop();
    core_->tunnels->stop();
  }
  std::optional<MirrorPace> mirror_pace() const override {
    return core_->trial ? std::optional(core_->trial->pace()) : std::nullopt;
  }
  Result<nlohmann::json> differences() const override {
    if (!core_->comparer) return fail(Code::refused, "answers are not compared; remove the option compare: false");
    return core_->comparer->differences();
  }

 private:
  std::shared_ptr<Core> core_;
};

Result<std::shared_ptr<Comparer>> make_comparer(const asio::any_io_executor& executor, const MirrorOptions& options,
                                                const std::vector<Segment>& segments,
                                                std::shared_ptr<Standing> standing) {
  ComparerSettings settings;
  settings.cpu_share_max = options.compare_cpu;
  settings.book.rule = {options.compare_relative, options.compare_absolute};
  settings.book.samples_max = options.compare_samples;
  settings.compare.secrets = Secrets(options.compare_redact);
  for (const auto& field : options.compare_ignore) FS_CHECK(settings.compare.ignored.add(field));
  std::vector<SegmentId> names;
  for (const auto& segment : segments) names.push_back(segment.id);
  return std::make_shared<Comparer>(executor, std::move(settings), names, std::move(standing));
}

// Null: no segment is insured.
std::shared_ptr<Standing> make_standing(const std::vector<Insurer::Terms>& terms) {
  if (std::ranges::none_of(terms, [](const Insurer::Terms& of_one) { return of_one.options.on; })) return nullptr;
  std::vector<StandingRule> rules;
  for (const auto& of_one : terms) rules.push_back(of_one.options.standing);
  return std::make_shared<Standing>(std::move(rules));
}

}  // namespace

Result<std::unique_ptr<proxy::Protocol>> make_protocol(const proxy::ListenerSettings& settings,
                                                       asio::any_io_executor executor) {
  auto core = std::make_shared<Core>();
  core->settings = settings;
  FS_TRY(options, parse_options(settings.options));
  core->options = options;
  std::vector<std::map<std::string, std::string>> conditions;
  std::vector<Insurer::Terms> terms;
  for (const auto& match : settings.matches) {
    conditions.push_back(match.conditions);
    FS_TRY(own, parse_segment_options(match.options));
    FS_CHECK(check_insurance(match.options, settings.options));
    const auto nth = core->rules.size();
    // Of a segment that was not told to write, safe methods are twice declared not to.
    const bool declared = nth < settings.segments.size() && !settings.segments[nth].writes;
    core->rules.push_back({.sticky = own.sticky.value_or(options.sticky),
                           .upstream_timeout = own.timeout.value_or(settings.upstream_timeout),
                           .request_timeout = own.request_timeout.value_or(options.request_timeout),
                           .reads_flow = own.reads_flow.value_or(options.reads_flow && declared),
                           .idempotency_key = own.idempotency_key});
    terms.push_back({own.insurance, core->rules.back().sticky});
  }
  core->rules.push_back({.sticky = options.sticky,
                         .upstream_timeout = settings.upstream_timeout,
                         .request_timeout = options.request_timeout});
  FS_TRY(matcher, Matcher::make(conditions));
  core->matcher = std::move(matcher);
  core->limits.head_bytes_max = settings.header_bytes_max;
  core->limits.target_bytes_max = std::min(core->limits.target_bytes_max, settings.header_bytes_max);
  core->complaints = Complaints(settings.resource);
  core->quota = std::make_shared<ClientQuota>(options.clients.connections_max, settings.resource);
  CredentialSettings credentials{.resource = settings.resource, .check_interval = settings.tls_check_interval};
  if (!settings.tls.certificates.empty()) {
    credentials.server = settings.tls;
    credentials.server->alpn = alpn_for(options.h2.offer);
  }
  if (options.upstream_tls != UpstreamTls::off) {
    credentials.client = options.upstream;
    credentials.client->alpn = alpn_for(options.upstream_h2.speak);
  }
  if (options.upstream_tls == UpstreamTls::insecure)
    log::warn("{}: upstream_tls is insecure: whoever answers at an instance's address is believed", settings.resource);
  FS_TRY(loaded, Credentials::load(std::move(credentials), executor));
  core->credentials = std::move(loaded);
  const Pool::Tls tls{.credentials = core->credentials,
                      .server_name = options.upstream_server_name,
                      .resource = settings.resource,
                      .h2 = options.upstream_h2,
                      .head_bytes_max = settings.header_bytes_max,
                      .write_timeout = settings.upstream_timeout};
  core->random = Random(draw_seed());
  core->identity = options.identity;
  core->identity.told = !options.access_log.empty();
  if (core->identity.told) {
    auto opened = AccessLog::open(settings.resource, settings.segments, options, draw_seed());
    if (!opened) return fail(opened.error().code, "option access_log: " + opened.error().what);
    core->access_log = std::move(*opened);
  }
  core->watchdog = std::make_shared<Watchdog>(executor);
  core->pool = std::make_shared<Pool>(executor, core->watchdog, kIdleMax, tls);
  core->spool_room = std::make_shared<SpoolRoom>();
  core->spool_room->body_max = options.mirror.compare_body_max;
  const auto standing = make_standing(terms);
  if (standing) core->insurer = std::make_shared<Insurer>(executor, core->watchdog, tls, std::move(terms), standing);
  if (options.mirror.compare) {
    FS_TRY(comparer, make_comparer(executor, options.mirror, settings.segments, standing));
    core->comparer = std::move(comparer);
  }
  const MirrorSettings mirror{.deadline = options.mirror.timeout,
                              .writes_per_s = options.mirror.writes_per_s,
                              .twice_share = options.mirror.compare_noise};
  core->mirror = std::make_shared<Mirror>(executor, core->watchdog, mirror, tls, core->comparer, core->spool_room);
  if (options.mirror.trial)
    core->trial = std::make_shared<MirrorTrial>(
        TrialSettings{.slot = options.mirror.slot, .harmless_share = options.mirror.harmless}, draw_seed());
  TunnelSettings tunnels{.idle_timeout = settings.idle_timeout,
                         .close_within = options.upgrade_close_within,
                         .move_within = options.move_long_lived_within,
                         .stay_in_hold = options.upgrade_on_hold == UpgradeOnHold::wait};
  for (const auto& segment : settings.segments) tunnels.segments.push_back(segment.id);
  core->tunnels = std::make_shared<Tunnels>(executor, std::move(tunnels), Random(draw_seed()));
  return std::make_unique<HttpProtocol>(std::move(core));
}

}  // namespace foreshadow::kinds::http
