// http_load: open-loop load on the shop, through whatever listens at --target.
#include <exception>

#include "load/cli.hpp"
#include "load/http_client.hpp"

int main(int argc, char** argv) {
  CLI::App app{"Open-loop HTTP load: GET /products/<id> and POST /orders on keep-alive connections, no retries"};
  load::CommonOptions options;
  load::HttpLoad http;
  std::string target;
  options.add_to(app);
  app.add_option("--target", target, "host:port, IPv4")->required();
  app.add_option("--connections", http.connections, "Size of the pool")
      ->check(CLI::Range(1, 10'000))
      ->capture_default_str();
  app.add_option("--write-share", http.write_share, "Share of POST /orders")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  app.add_option("--products", http.products, "Ids 1..n are asked for")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);

  try {
    const auto colon = target.rfind(':');
    if (colon == std::string::npos) throw std::runtime_error("--target wants host:port, not '" + target + "'");
    http.host = target.substr(0, colon);
    if (!CLI::detail::lexical_cast(target.substr(colon + 1), http.port) || http.port < 1 || http.port > 65535)
      throw std::runtime_error("'" + target.substr(colon + 1) + "' is not a port");
    http.rate_per_s = options.rate_per_s;
    http.length = options.length();
    http.seed = options.seed;
    http.timeout = options.timeout();

    load::stop_on_signals();
    load::Recorder recorder(options.acknowledged);
    load::LivePrinter printer(recorder, options.live_ms);
    http.stop = [&] { return options.told_to_stop(); };
    http.tick = [&] { printer.tick(); };
    load::run_http_load(http, recorder);
    load::deliver(options, recorder.report());
  } catch (const std::exception& e) {
    std::fprintf(stderr, "http_load: %s\n", e.what());
    return 1;
  }
  return 0;
}
