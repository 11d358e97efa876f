// The loader of the PostgreSQL benchmark: pgbench's scripts, one thread, with a ledger and with everybody's waits.
//
// Why our own: pgbench drops a client at its first lost connection, which is what most ways of handing over cause; it
// knows no outcome of a COMMIT whose answer was lost; and it cannot tell a proxy's pause from its own.
//
// All connections are made first; then it says `connected` and begins once there is a line, or an end, on standard
// input. Without --seconds it goes on until there is another. Then one JSON object. The connections stay until there is
// one more line, or the end: whoever looks at what the proxy has used does not see them being closed.
#include <fmt/format.h>
#include <sys/prctl.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <map>
#include <string>
#include <utility>

#include "postgres/load.hpp"

namespace {

using namespace foreshadow::bench::pg;

void say(const std::string& line) {
  fmt::print("{}\n", line);
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{
      "Loader of ./dev bench postgres: pgbench's scripts over kept connections on loopback, closed or open loop"};
  Settings settings;
  const std::map<std::string, Kind> kinds{{"select-only", Kind::select_only}, {"tpcb", Kind::tpcb}};
  const std::map<std::string, Protocol> protocols{{"simple", Protocol::simple}, {"extended", Protocol::extended}};
  long long waits_over_us = settings.waits_over.count();
  app.add_option("--port", settings.port)->required();
  app.add_option("--user", settings.user)->capture_default_str();
  app.add_option("--database", settings.database)->capture_default_str();
  app.add_option("--clients", settings.clients)->check(CLI::Range(1, 20'000))->capture_default_str();
  app.add_option("--script", settings.kind)->transform(CLI::CheckedTransformer(kinds));
  app.add_option("--protocol", settings.protocol)->transform(CLI::CheckedTransformer(protocols));
  app.add_option("--scale", settings.scale, "As the database was initialised")
      ->check(CLI::Range(1, 100'000))
      ->capture_default_str();
  app.add_option("--seconds", settings.seconds, "0: until told")
      ->check(CLI::Range(0.0, 86'400.0))
      ->capture_default_str();
  app.add_option("--rate", settings.rate_per_s, "Transactions a second, open loop; 0 is closed")->capture_default_str();
  app.add_flag("--once", settings.once, "Each client does one transaction, and then waits");
  app.add_option("--timeout", settings.timeout_s, "Seconds without an answer to giving up")->capture_default_str();
  app.add_option("--seed", settings.seed)->capture_default_str();
  app.add_option("--name", settings.name, "What transactions' ids begin with: a letter")->capture_default_str();
  app.add_option("--ledger", settings.ledger, "Where to tell what became of each writing transaction");
  app.add_option("--waits", settings.waits, "Where to tell of long waits");
  app.add_option("--waits-over-us", waits_over_us, "Which are told of")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  settings.waits_over = std::chrono::microseconds{waits_over_us};
  // A wait for the next due transaction must not be rounded up by the customary 50 microseconds.
  prctl(PR_SET_TIMERSLACK, 1000);
  Load load(std::move(settings));
  load.connect();
  say("connected");
  await_line();
  load.run();
  say(load.json());
  await_line();
}
