#include "kinds/http/session/plan.hpp"

#include <algorithm>

#include "base/assert.hpp"
#include "base/log.hpp"
#include "kinds/http/session/access_log.hpp"
#include "proxy/share.hpp"

namespace foreshadow::kinds::http {
namespace {

namespace asio = boost::asio;

// Connections kept for each instance: more than a gateway's threads can keep busy.
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
  names.reserve(segments.size());
  for (const auto& segment : segments) names.push_back(segment.id);
  return std::make_shared<Comparer>(executor, std::move(settings), names, std::move(standing));
}

// Null: no segment is insured.
std::shared_ptr<Standing> make_standing(const std::vector<Insurer::Terms>& terms) {
  if (std::ranges::none_of(terms, [](const Insurer::Terms& of_one) { return of_one.options.on; })) return nullptr;
  std::vector<StandingRule> rules;
  rules.reserve(terms.size());
  for (const auto& of_one : terms) rules.push_back(of_one.options.standing);
  return std::make_shared<Standing>(std::move(rules));
}

}  // namespace

template <class T>
T Plan::share(T total) const {
  return proxy::share_of(total, threads_, made_);
}

Result<std::shared_ptr<Plan>> Plan::make(const proxy::ListenerSettings& settings, std::uint64_t seed) {
  std::shared_ptr<Plan> plan(new Plan(seed));
  plan->settings_ = settings;
  plan->threads_ = static_cast<std::size_t>(std::max(1, settings.threads));
  FS_TRY(options, parse_options(settings.options));
  plan->options_ = options;
  FS_CHECK(plan->read_segments());
  plan->quota_ = std::make_shared<ClientQuota>(options.clients.connections_max, settings.resource);
  plan->standing_ = make_standing(plan->terms_);
  if (plan->standing_) plan->writes_ = std::make_shared<RecentWrites>();
  if (plan->threads_ > 1) plan->in_step_ = plan->seeds_.next();
  if (options.upstream_tls == UpstreamTls::insecure)
    log::warn("{}: upstream_tls is insecure: whoever answers at an instance's address is believed", settings.resource);
  return plan;
}

Result<void> Plan::read_segments() {
  std::vector<std::map<std::string, std::string>> conditions;
  conditions.reserve(settings_.matches.size());
  for (const auto& match : settings_.matches) {
    conditions.push_back(match.conditions);
    FS_TRY(own, parse_segment_options(match.options));
    FS_CHECK(check_insurance(match.options, settings_.options));
    const auto nth = rules_.size();
    // Of a segment that was not told to write, safe methods are twice declared not to.
    const bool declared = nth < settings_.segments.size() && !settings_.segments[nth].writes;
    rules_.push_back({.sticky = own.sticky.value_or(options_.sticky),
                      .upstream_timeout = own.timeout.value_or(settings_.upstream_timeout),
                      .request_timeout = own.request_timeout.value_or(options_.request_timeout),
                      .reads_flow = own.reads_flow.value_or(options_.reads_flow && declared),
                      .idempotency_key = own.idempotency_key});
    terms_.push_back({own.insurance, rules_.back().sticky});
  }
  rules_.push_back({.sticky = options_.sticky,
                    .upstream_timeout = settings_.upstream_timeout,
                    .request_timeout = options_.request_timeout});
  FS_TRY(matcher, Matcher::make(conditions));
  matcher_ = std::move(matcher);
  return {};
}

Result<void> Plan::share_credentials(Core& core, const asio::any_io_executor& executor) {
  if (credentials_) {
    FS_TRY(another, credentials_->another(executor));
    core.credentials = std::move(another);
    return {};
  }
  CredentialSettings credentials{.resource = settings_.resource, .check_interval = settings_.tls_check_interval};
  if (!settings_.tls.certificates.empty()) {
    credentials.server = settings_.tls;
    credentials.server->alpn = alpn_for(options_.h2.offer);
  }
  if (options_.upstream_tls != UpstreamTls::off) {
    credentials.client = options_.upstream;
    credentials.client->alpn = alpn_for(options_.upstream_h2.speak);
  }
  FS_TRY(loaded, Credentials::load(std::move(credentials), executor));
  credentials_ = core.credentials = std::move(loaded);
  return {};
}

Result<void> Plan::share_access_log(Core& core) {
  core.identity = options_.identity;
  core.identity.told = !options_.access_log.empty();
  if (!core.identity.told) return {};
  if (!log_) {
    auto opened = AccessLog::open(options_, threads_);
    if (!opened) return fail(opened.error().code, "option access_log: " + opened.error().what);
    log_ = std::move(*opened);
  }
  core.access_log =
      std::make_shared<AccessLog>(settings_.resource, settings_.segments, options_, log_, made_, seeds_.next());
  return {};
}

Result<void> Plan::share_comparer(Core& core, const asio::any_io_executor& executor) {
  if (!options_.mirror.compare) return {};
  if (comparer_) {
    core.comparer = std::make_shared<Comparer>(executor, *comparer_);
    return {};
  }
  FS_TRY(comparer, make_comparer(executor, options_.mirror, settings_.segments, standing_));
  comparer_ = core.comparer = std::move(comparer);
  return {};
}

Result<std::shared_ptr<Core>> Plan::next(const asio::any_io_executor& executor) {
  FS_ASSERT(made_ < threads_);
  auto core = std::make_shared<Core>();
  core->settings = settings_;
  core->options = options_;
  core->matcher = matcher_;
  core->rules = rules_;
  core->limits.head_bytes_max = settings_.header_bytes_max;
  core->limits.target_bytes_max = std::min(core->limits.target_bytes_max, settings_.header_bytes_max);
  core->complaints = Complaints(settings_.resource);
  core->quota = quota_;
  FS_CHECK(share_credentials(*core, executor));
  auto upstream_h2 = options_.upstream_h2;
  upstream_h2.connections_max = share(upstream_h2.connections_max);
  const Pool::Tls tls{.credentials = core->credentials,
                      .server_name = options_.upstream_server_name,
                      .resource = settings_.resource,
                      .h2 = upstream_h2,
                      .head_bytes_max = settings_.header_bytes_max,
                      .write_timeout = settings_.upstream_timeout};
  core->random = Random(seeds_.next());
  FS_CHECK(share_access_log(*core));
  core->watchdog = std::make_shared<Watchdog>(executor);
  core->pool = std::make_shared<Pool>(executor, core->watchdog, share(kIdleMax), tls);
  core->spool_room = std::make_shared<SpoolRoom>();
  core->spool_room->left = share(core->spool_room->left);
  core->spool_room->body_max = options_.mirror.compare_body_max;
  if (standing_) {
    auto terms = terms_;
    for (auto& of_one : terms) of_one.options.at_once = share(of_one.options.at_once);
    core->insurer = std::make_shared<Insurer>(executor, core->watchdog, tls, std::move(terms), standing_, writes_);
  }
  FS_CHECK(share_comparer(*core, executor));
  MirrorSettings mirror{.deadline = options_.mirror.timeout,
                        .writes_per_s = options_.mirror.writes_per_s / static_cast<double>(threads_),
                        .twice_share = options_.mirror.compare_noise};
  mirror.at_once_max = share(mirror.at_once_max);
  mirror.queued_max = share(mirror.queued_max);
  mirror.queued_bytes_max = share(mirror.queued_bytes_max);
  mirror.twice_first = share(mirror.twice_first);
  core->mirror = std::make_shared<Mirror>(executor, core->watchdog, mirror, tls, core->comparer, core->spool_room);
  if (options_.mirror.trial)
    core->trial = std::make_shared<MirrorTrial>(
        TrialSettings{.slot = options_.mirror.slot, .harmless_share = options_.mirror.harmless, .in_step = in_step_},
        seeds_.next());
  TunnelSettings tunnels{.idle_timeout = settings_.idle_timeout,
                         .close_within = options_.upgrade_close_within,
                         .move_within = options_.move_long_lived_within,
                         .stay_in_hold = options_.upgrade_on_hold == UpgradeOnHold::wait};
  for (const auto& segment : settings_.segments) tunnels.segments.push_back(segment.id);
  core->tunnels = std::make_shared<Tunnels>(executor, std::move(tunnels), Random(seeds_.next()));
  ++made_;
  return core;
}

}  // namespace foreshadow::kinds::http
