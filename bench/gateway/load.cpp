// The loader of the gateway benchmark, one thread: closed (each place asks again once it is answered) or open (--rate:
// requests come due as a Poisson process with a fixed seed, the same for every proxy, whether or not anybody is free to
// send them). Open-loop latency counts from when a request was due, so a proxy that stalls cannot hide the requests
// that it kept from being sent. A place is a connection of HTTP/1.1, or with --h2 one of --streams on a connection.
//
// Why our own: wrk has no open loop and knows no HTTP/2. h2load has no open loop that counts so, forgets what was under
// way when its time is over, and its HTTP/1.1 is another client than the one that the other cases are measured with.
//
// With --writes a share of the requests are `POST /write`, each with an id of its own, and what became of each is in a
// file: acknowledged, refused (503: nothing was done), or unknown. No write is ever sent twice from here.
//
// All connections are made first, handshakes included; then it says `connected` and begins once there is a line, or an
// end, on standard input. Then one JSON object. What was due before the end may still be sent and answered within ten
// seconds of it; the rest counts as failed, with its age among the latencies. The connections stay until there is
// another line, or the end: whoever looks at what the proxy has used does not see them being closed.
#include <fmt/format.h>
#include <sys/prctl.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <string>
#include <utility>

#include "load.hpp"

namespace {

using foreshadow::bench::Load;
using foreshadow::bench::LoadSettings;

// Until there is a line on standard input, or its end.
void await_line() {
  for (int c = 0; c != '\n' && c != EOF;) c = std::getchar();
}

void say(const std::string& line) {
  fmt::print("{}\n", line);
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Loader of ./dev bench gateway: GETs and writes over kept connections on loopback, closed or open loop"};
  LoadSettings settings;
  app.add_option("--port", settings.port)->required();
  app.add_option("--path", settings.path)->capture_default_str();
  app.add_option("--connections", settings.connections)->check(CLI::Range(1, 20'000))->capture_default_str();
  app.add_flag("--h2", settings.h2, "HTTP/2, in the plain by prior knowledge, under TLS by ALPN");
  app.add_option("--streams", settings.streams, "At once on a connection of HTTP/2")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_option("--ca", settings.ca_file, "TLS, with a certificate that leads to this one");
  app.add_option("--seconds", settings.seconds)->check(CLI::Range(0.01, 3600.0))->capture_default_str();
  app.add_option("--rate", settings.rate_per_s, "Requests a second, open loop; 0 is closed")->capture_default_str();
  app.add_option("--write-share", settings.write_share)->check(CLI::Range(0.0, 1.0))->capture_default_str();
  app.add_option("--writes", settings.writes, "Where to tell what became of each write; none are sent without");
  CLI11_PARSE(app, argc, argv);
  if (!settings.h2) settings.streams = 1;
  // A wait for the next due request must not be rounded up by the customary 50 microseconds.
  prctl(PR_SET_TIMERSLACK, 1000);
  // A proxy that ends a connection ends none of ours (OpenSSL writes without MSG_NOSIGNAL).
  std::signal(SIGPIPE, SIG_IGN);
  Load load(std::move(settings));
  load.connect();
  say("connected");
  await_line();
  load.run();
  say(load.json());
  await_line();
}
