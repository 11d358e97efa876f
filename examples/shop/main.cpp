// shop: a small HTTP service over PostgreSQL, the patient of the demo's `leak` scene.
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <fstream>

#include "shop/fault.hpp"
#include "shop/server.hpp"

namespace {

// Whoever reads the pid file may act on it: it appears whole or not at all.
bool write_pid_file(const std::string& path) {
  const auto temporary = path + ".new";
  {
    std::ofstream file(temporary);
    file << getpid() << '\n';
    if (!file.flush()) return false;
  }
  return rename(temporary.c_str(), path.c_str()) == 0;
}

// Threads started from here on have small stacks, which RLIMIT_DATA counts whole.
void use_small_stacks() {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, 512 << 10);
  pthread_setattr_default_np(&attributes);
  pthread_attr_destroy(&attributes);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"A small shop: GET /healthz, /products/<id>, /orders/<op>; POST /orders"};
  std::string listen = "127.0.0.1:9001";
  std::string pid_file;
  shop::ServiceSettings settings;
  settings.name = "shop";
  int threads = 4;
  int products = 1000;
  bool init_schema = false;
  std::size_t rlimit_bytes = 0;
  app.add_option("--listen", listen, "IPv4 address:port to listen on")->capture_default_str();
  app.add_option("--name", settings.name, "Shown by /healthz")->capture_default_str();
  app.add_option("--pid-file", pid_file, "Written once the port is open, removed at a graceful end");
  app.add_option("--database", settings.database, "libpq connection string; passwords belong in PGPASSFILE");
  app.add_option("--threads", threads, "Workers, each with its own database connection")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  app.add_flag("--init-schema", init_schema, "Create the tables, fill in the products and exit");
  app.add_option("--products", products, "How many products --init-schema makes")->check(CLI::Range(1, 1'000'000));
  app.add_option("--leak", settings.leak_bytes,
                 "FAULT: leak this many touched bytes on every order, mirrored ones too");
  app.add_option("--rlimit-bytes", rlimit_bytes, "Die as if killed by the OOM killer beyond this much data memory");
  CLI11_PARSE(app, argc, argv);

  if (init_schema) {
    shop::Store store(settings.database);
    if (store.create_schema(products)) return 0;
    std::fprintf(stderr, "shop: cannot create the schema: %s\n", store.why().c_str());
    return 1;
  }

  // Before any thread starts, so that only sigwait() below ever sees them.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  use_small_stacks();
  if (std::string why; rlimit_bytes != 0 && !shop::limit_memory(rlimit_bytes, why)) {
    std::fprintf(stderr, "shop: cannot limit its memory: %s\n", why.c_str());
    return 1;
  }

  try {
    shop::Server server(listen, threads, settings);
    if (!pid_file.empty() && !write_pid_file(pid_file)) {
      std::fprintf(stderr, "shop: cannot write %s\n", pid_file.c_str());
      return 1;
    }
    std::fprintf(stderr, "shop: %s listens on port %u\n", settings.name.c_str(), server.port());
    int received = 0;
    sigwait(&signals, &received);
    server.stop();
  } catch (const std::exception& e) {
    std::fprintf(stderr, "shop: %s\n", e.what());
    return 1;
  }
  if (!pid_file.empty()) unlink(pid_file.c_str());
  return 0;
}
