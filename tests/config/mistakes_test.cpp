// One mistake at a time in a file that is otherwise right; the message is asserted whole, with its place.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/complete.hpp"
#include "config/declared_kinds.hpp"
#include "config/diagnostics.hpp"

namespace foreshadow::config {
namespace {

// kComplete with the first `from` replaced by `to`.
std::string refusal(std::string_view from, std::string_view to) {
  std::string text = kComplete;
  const auto at = text.find(from);
  if (at == std::string::npos) return "the test's own text was not found";
  text.replace(at, from.size(), to);
  const auto config = parse_declared(text);
  return config ? "accepted" : config.error().what;
}

TEST(Mistakes, UnknownKeysAreMetWithASuggestion) {
  EXPECT_EQ(refusal("state_dir: state", "state_dir: state\nlog_levle: info"),
            "f.yaml:3:1: unknown key 'log_levle'; did you mean 'log_level'?");
  EXPECT_EQ(refusal("interval: 250ms", "intervall: 250ms"),
            "f.yaml:28:7: unknown key 'intervall' in resources.observe; did you mean 'interval'?");
  EXPECT_EQ(refusal("cooldown: 1m", "colour: 1m"),
            "f.yaml:51:61: unknown key 'colour' in resources.policy.budget; known keys: provisions_per_day, "
            "handovers_per_day, cooldown");
}

TEST(Mistakes, WrongTypesSayWhatBelongsThere) {
  EXPECT_EQ(refusal("autonomy: act", "autonomy: [act]"),
            "f.yaml:39:17: autonomy: a list was found where a single value belongs");
  EXPECT_EQ(refusal("gateways: [{name: edge, threads: 2}]", "gateways: [edge]"),
            "f.yaml:4:12: gateways: a single value was found where a map belongs");
  EXPECT_EQ(refusal("threads: 2", "threads: 0"), "f.yaml:4:34: threads: '0' is not a whole number from 1 to 64");
  EXPECT_EQ(refusal("autonomy: act", "autonomy:"), "f.yaml:40:7: autonomy: no value; write one or remove the key");
  EXPECT_EQ(refusal("writes: true", "writes: yes"),
            "f.yaml:23:17: writes: 'yes' is neither true nor false; write one of them, without quotes");
  EXPECT_EQ(refusal("requests_min: 60", "requests_min: 6.5"),
            "f.yaml:49:130: requests_min: '6.5' is not a whole number from 1 to 1000000");
  EXPECT_EQ(refusal("retry_after: 2s", "retry_after: 2"),
            "f.yaml:50:84: retry_after: '2' is not a duration; write a number and ms, s, m, h or d");
  EXPECT_EQ(refusal("hysteresis: 0.15", "hysteresis: 15"),
            "f.yaml:44:19: hysteresis: '15' is not a fraction; write 0 to 1, or 0% to 100%");
  EXPECT_EQ(
      refusal("header_bytes_max: 16KiB", "header_bytes_max: 16PiB"),
      "f.yaml:25:118: header_bytes_max: '16PiB' is not a size; write a number and B, KiB, MiB, GiB, KB, MB or GB");
  EXPECT_EQ(refusal("autonomy: act", "autonomy: actt"),
            "f.yaml:39:17: autonomy: 'actt' is not known; did you mean 'act'?");
  EXPECT_EQ(refusal("retirement: rebuild", "retirement: burn"),
            "f.yaml:57:19: retirement: 'burn' is not known; write one of: standby, rebuild, keep");
}

TEST(Mistakes, LimitsThatMakeNoSenseTogether) {
  EXPECT_THAT(refusal("upstream_connections_max: 100, ", ""),
              ::testing::HasSubstr("upstream_queue_max: nothing queues without a limit; add upstream_connections_max"));
  EXPECT_THAT(refusal("max_open_time: 2s", "max_open_time: 20ms"),
              ::testing::HasSubstr("max_open_time: it is below open_time; raise it"));
  EXPECT_THAT(refusal("max_ejection_time: 1m", "max_ejection_time: 1s"),
              ::testing::HasSubstr("max_ejection_time: it is below base_ejection_time; raise it"));
}

TEST(Mistakes, MissingFieldsAreNamed) {
  EXPECT_EQ(refusal("version: 1\n", ""), "f.yaml:1:1: version: missing; add version: 1");
  EXPECT_EQ(refusal("version: 1", "version: 2"), "f.yaml:1:10: version: 2 is not known; this build reads version 1");
  EXPECT_EQ(refusal("state_dir: state\n", ""), "f.yaml:1:1: state_dir: missing; add it");
  EXPECT_EQ(refusal("      id: shop-a\n", ""), "f.yaml:12:7: id: missing in resources.primary; add it");
  EXPECT_EQ(refusal("    kind: http\n", ""), "f.yaml:7:5: kind: missing in resources; add it");
}

TEST(Mistakes, ThresholdsThatCannotBeMeant) {
  EXPECT_EQ(refusal("critical: {threshold: 80%", "critical: {threshold: 0.3"),
            "f.yaml:43:17: critical: threshold 0.3 is outside its bounds 0.6 to 0.9; move it, or write other bounds\n"
            "f.yaml:43:17: critical: threshold 0.3 is below shadowing's 0.5, so a handover would come before its "
            "shadow; raise it");
  EXPECT_EQ(refusal("shadowing: {threshold: 0.5", "shadowing: {threshold: 0"),
            "f.yaml:42:30: threshold: 0 is crossed always; write more than 0");
  EXPECT_EQ(refusal("horizon: 12s", "horizon: 0s"), "f.yaml:43:43: horizon: '0s' is too short; write at least 1ms");
  EXPECT_EQ(refusal("horizon: 12s", "horizon: 1m"),
            "f.yaml:43:17: critical: horizon 60.0s is longer than shadowing's 30.0s, so a handover would come before "
            "its shadow; shorten it");
  EXPECT_EQ(refusal("critical_min: 0.6", "critical_min: 0.95"),
            "f.yaml:52:70: critical_min: 0.95 is above critical_max 0.9; lower it");
  EXPECT_EQ(refusal("budget: 250ms", "budget: 5s"),
            "f.yaml:50:33: budget: 5.0s is not below the lease 2.0s, which would lapse first; shorten it\n"
            "f.yaml:50:47: park_max: 4.0s is below the budget 5.0s, so parked clients would get errors in every "
            "handover; raise it");
  EXPECT_EQ(refusal("alpha: 0.01", "alpha: 1"),
            "f.yaml:49:110: alpha: 1 is no false-alarm bound; write more than 0 and less than 0.5");
}

TEST(Mistakes, HorizonsNeedEnoughScrapes) {
  EXPECT_EQ(refusal("interval: 250ms", "interval: 1900ms"),
            "f.yaml:39:7: policy.critical.horizon: 12.0s is shorter than 8 scrapes of 1.9s; lengthen it to 15.2s, or "
            "scrape more often");
  EXPECT_EQ(refusal("retention: 1h", "retention: 10s"),
            "f.yaml:28:7: observe.retention: 10.0s is shorter than the horizon 30.0s; keep at least as much history as "
            "is foreseen");
  EXPECT_EQ(refusal("stale_after: 2s", "stale_after: 200ms"),
            "f.yaml:29:20: stale_after: 200ms is not longer than the interval 250ms, so every signal would be unknown "
            "between scrapes; write at "
            "least twice the interval");
}

TEST(Mistakes, SignalsThatNoSourceMakes) {
  EXPECT_EQ(refusal("process_resident_memory_bytes", "process_resident_memory_byte"),
            "f.yaml:32:18: name: no source makes the signal 'process_resident_memory_byte'; did you mean "
            "'process_resident_memory_bytes'?\n"
            "f.yaml:32:55: limit: '96MiB' is not a limit for 'process_resident_memory_byte'; write a plain number");
  EXPECT_EQ(refusal("segment=\"orders\"", "segment=\"order\""),
            "f.yaml:35:18: name: no segment 'order'; did you mean 'orders'?");
  EXPECT_EQ(refusal("'request_error_ratio{segment=\"orders\"}', limit: 1%",
                    "'process_threads{segment=\"orders\"}', limit: 1"),
            "f.yaml:35:18: name: 'process_threads' is not counted by segment; only request_ signals are");
  EXPECT_EQ(refusal("limit: 500ms", "limit: 500MiB"),
            "f.yaml:34:46: limit: '500MiB' is not a limit for 'request_p99_seconds'; write a number of seconds, or one "
            "with ms, s, m");
  EXPECT_EQ(refusal("limit: 500ms", "hard: true"),
            "f.yaml:34:45: a direction without a limit says nothing; add limit:");
  EXPECT_EQ(refusal("{name: process_threads}", "{name: request_p99_seconds, limit: 1}"),
            "f.yaml:36:18: name: 'request_p99_seconds' is listed twice; keep one");
}

TEST(Mistakes, NamesThatReferToNothing) {
  EXPECT_EQ(refusal("kind: http", "kind: htpt"), "f.yaml:8:11: kind: 'htpt' is not known; did you mean 'http'?");
  EXPECT_EQ(refusal("kind: http", "kind: mongodb"),
            "f.yaml:8:11: kind: 'mongodb' is not known; this build knows: http, postgres");
  EXPECT_EQ(refusal("gateways: [edge]\n    primary", "gateways: [egde]\n    primary"),
            "f.yaml:10:15: gateways: no gateway 'egde' in gateways:; did you mean 'edge'?");
  EXPECT_EQ(refusal("agents: [{name: local}]\n", ""), "f.yaml:66:12: agent: no agent 'local' in agents:; add it there");
  EXPECT_EQ(refusal("agent: local", "agent: remote"),
            "f.yaml:67:12: agent: no agent 'remote' in agents:; there are: local");
  EXPECT_EQ(refusal("match: {method: POST", "match: {methd: POST"),
            "f.yaml:22:24: match: http cannot be told apart by 'methd'; did you mean 'method'?");
  EXPECT_EQ(
      refusal("match: {application_name: reports}", "match: {path: /x}"),
      "f.yaml:70:39: match: postgres cannot be told apart by 'path'; it can by: application_name, user, database");
  EXPECT_EQ(refusal("path: /orders", "path: orders"), "f.yaml:22:37: match: path 'orders' is not rooted");
  EXPECT_EQ(refusal("path: /orders", "path: ''"),
            "f.yaml:22:37: match: path is empty; write what it must be, or remove it");
  EXPECT_EQ(refusal("name: shop\n", "name: ../shop\n"),
            "f.yaml:7:11: name: '../shop' is not a name; use up to 63 letters, digits, '-', '_' and '.', starting with "
            "a letter or digit");
}

TEST(Mistakes, ASegmentsOwnOptionsAreTheKindsToo) {
  EXPECT_EQ(refusal("writes: true", "writes: true\n        options: {timeout: 5s}"), "accepted");
  EXPECT_EQ(refusal("writes: true", "writes: true\n        options: {timeout: never}"),
            "f.yaml:24:28: option timeout: 'never' is no time");
  EXPECT_EQ(refusal("writes: true", "writes: true\n        options: {timeuot: 5s}"),
            "f.yaml:24:28: options: a segment of kind http has no option 'timeuot'; did you mean 'timeout'?");
  // Seen together with the resource's own, which stand behind it.
  EXPECT_EQ(refusal("writes: true", "writes: true\n        options: {sticky: request, timeout: 5s}"),
            "f.yaml:24:45: option timeout: sticky requests have none with a health_path");
  EXPECT_EQ(refusal("staleness_max: 5s", "options: {timeout: 5s}"),
            "f.yaml:70:80: options: a segment of kind postgres has no option 'timeout'; remove it");
}

TEST(Mistakes, SegmentsThatWouldNeverSeeWork) {
  EXPECT_EQ(refusal("        match: {method: \"GET,HEAD\", path: \"/products/**\"}\n", ""),
            "f.yaml:20:15: name: segment 'orders' comes after 'browse', which matches everything; move it before");
  EXPECT_EQ(refusal("name: orders", "name: browse"),
            "f.yaml:21:15: name: a segment 'browse' exists already; choose another\n"
            "f.yaml:35:18: name: no segment 'orders'; there are: browse, browse");
}

TEST(Mistakes, StreamsCannotBeToldApart) {
  auto kinds = declared_kinds();
  kinds.push_back(
      std::make_unique<DeclaredKind>("tcp", KindTraits{.shares_data = true}, std::vector<kinds::OptionInfo>{}));
  const auto config = parse(
      "version: 1\nstate_dir: state\nresources:\n  - name: line\n    kind: tcp\n"
      "    primary: {id: line-a, address: \"10.0.0.5:9001\"}\n"
      "    segments:\n      - {name: all, writes: true, match: {path: /x}}\n",
      "f.yaml", "/etc/foreshadow", kinds);
  ASSERT_FALSE(config);
  EXPECT_EQ(config.error().what,
            "f.yaml:8:42: match: work of kind tcp cannot be told apart; remove it, and keep one segment");
}

TEST(Mistakes, AddressesThatClash) {
  EXPECT_EQ(refusal("\"127.0.0.1:5433\"", "0.0.0.0:8080"),
            "f.yaml:65:13: listen: 0.0.0.0:8080 is taken by resource 'shop' on line 9; choose another port");
  EXPECT_EQ(refusal("listen: 127.0.0.1:8080", "listen: 127.0.0.1:9001"),
            "f.yaml:9:13: listen: 127.0.0.1:9001 is the primary's own address, so the gateway would call itself; "
            "choose another port");
  EXPECT_EQ(refusal("name: ledger", "name: shop"),
            "f.yaml:63:11: name: a resource 'shop' was given on line 7 already; choose another");
  EXPECT_EQ(refusal("\"/run/pg:5432\"", "127.0.0.1:9001"),
            "f.yaml:68:14: primary: 127.0.0.1:9001 is protected as resource 'shop' already; protect it once");
  EXPECT_EQ(refusal("address: 127.0.0.1:9001", "address: http://127.0.0.1:9001"),
            "f.yaml:13:16: address: 'http://127.0.0.1:9001' has no host; write it as host:port, without a scheme");
  EXPECT_EQ(refusal("address: 127.0.0.1:9001", "address: 127.0.0.1"),
            "f.yaml:13:16: address: '127.0.0.1' has no port; write it as host:port, with a port from 1 to 65535");
  EXPECT_EQ(refusal("address: 127.0.0.1:9001", "address: \"::1:9001\""),
            "f.yaml:13:16: address: '::1:9001' is ambiguous; write an IPv6 address in brackets, [::1]:8080");
  EXPECT_EQ(refusal("listen: 127.0.0.1:8080", "listen: localhost:8080"),
            "f.yaml:9:13: listen: 'localhost:8080' is not an address to bind; write a number such as 127.0.0.1:8080 or "
            "0.0.0.0:8080");
}

TEST(Mistakes, AutonomyNeedsMeans) {
  EXPECT_EQ(refusal("    listen: 127.0.0.1:8080\n    gateways: [edge]\n", ""),
            "f.yaml:37:7: policy: autonomy act moves traffic, and no gateway is in its path; add listen: and "
            "gateways:, or set autonomy: observe");
  EXPECT_EQ(refusal("    agent: local\n", "    policy: {autonomy: advise}\n"),
            "f.yaml:67:13: policy: kind postgres is fenced before a promotion, which needs an agent on the primary's "
            "host; add agent:, or set "
            "autonomy: observe");
}

TEST(Mistakes, ShadowsNeedAMaker) {
  EXPECT_EQ(refusal("    provision:\n      command: {argv: [./provision.sh, up], destroy: [./provision.sh, down], "
                    "rebuild: [./provision.sh, again], timeout: 30s}\n",
                    ""),
            "f.yaml:39:7: policy: autonomy act needs shadows, and nothing makes them; add provision:, or set autonomy: "
            "observe");
}

TEST(Mistakes, OptionsAreTheKindsOwn) {
  EXPECT_EQ(refusal("options: {max_rate: 20MB, password_file: pgpass}", "options: {max_rat: 20MB}"),
            "f.yaml:74:14: options: kind postgres has no option 'max_rat'; did you mean 'max_rate'?");
  EXPECT_EQ(refusal("max_rate: 20MB", "max_rate: fast"),
            "f.yaml:74:25: max_rate: 'fast' is not a size; write one such as 20MB");
}

TEST(Mistakes, SecretsAreKeptOut) {
  EXPECT_EQ(refusal("options: {max_rate: 20MB, password_file: pgpass}", "options: {password: hunter2}"),
            "f.yaml:74:15: password: secrets do not belong in this file; write password_file: with the path of a file "
            "only its owner can read");
  EXPECT_EQ(refusal("variables: {size: \"2\"}", "variables: {API_TOKEN: abc}"),
            "f.yaml:73:64: API_TOKEN: secrets do not belong in this file; write API_TOKEN_file: with the path of a "
            "file only its owner can read");
  EXPECT_EQ(refusal("log_level: debug", "secret: abc"),
            "f.yaml:3:1: secret: secrets do not belong in this file; write secret_file: with the path of a file only "
            "its owner can read");
}

TEST(Mistakes, AShadowIsMadeInOneWay) {
  EXPECT_EQ(refusal("terraform: {dir: infra/,", "command: {argv: [a], destroy: [b]}\n      terraform: {dir: infra/,"),
            "f.yaml:74:18: terraform: a command is given too, and a shadow is made in one way only; remove one");
  EXPECT_EQ(refusal("argv: [./provision.sh, up]", "argv: []"),
            "f.yaml:61:23: argv: no program is named; write it as a list, [./provision.sh, up]");
}

TEST(Mistakes, ASocketPathThatTheSystemWouldRefuse) {
  EXPECT_EQ(refusal("state_dir: state", "state_dir: /" + std::string(100, 's')),
            "f.yaml:2:12: state_dir: the path of a socket in it would have 119 bytes, and the system allows 107; "
            "choose a shorter one");
}

TEST(Mistakes, AllAreToldAtOnceInTheFilesOrderUpToTwenty) {
  std::string text = "version: 1\n";
  for (int i = 0; i < 30; ++i) text += "zz" + std::to_string(i) + ": 1\n";
  const auto config = parse_declared(text);
  ASSERT_FALSE(config);
  const auto& what = config.error().what;
  EXPECT_EQ(std::count(what.begin(), what.end(), '\n'), 20);
  EXPECT_TRUE(what.starts_with(
      "f.yaml:1:1: state_dir: missing; add it\nf.yaml:1:1: resources: missing; add it\nf.yaml:2:1: unknown key 'zz0'"))
      << what;
  EXPECT_TRUE(what.ends_with("\nf.yaml: 12 more; mend these first")) << what;
}

TEST(Diagnostics, DistanceCountsSwapsOnce) {
  EXPECT_EQ(edit_distance("", "abc"), 3U);
  EXPECT_EQ(edit_distance("egde", "edge"), 1U);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3U);
}

}  // namespace
}  // namespace foreshadow::config
