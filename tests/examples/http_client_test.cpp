// The load generator must be believed when it says "0 failed", so these tests make it say otherwise.
#include "load/http_client.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "examples/tcp_server.hpp"
#include "support/temp_dir.hpp"

namespace load {
namespace {

using foreshadow::testing::ScriptedServer;
using foreshadow::testing::TempDir;
using std::chrono::milliseconds;
using Reply = ScriptedServer::Reply;

HttpLoad settings(int port) {
  HttpLoad load;
  load.port = port;
  load.rate_per_s = 100;
  load.length = milliseconds{1000};
  load.connections = 4;
  load.stop = [] { return false; };
  load.tick = [] {};
  return load;
}

nlohmann::json run(const HttpLoad& load, const std::string& acknowledged = "") {
  Recorder recorder(acknowledged);
  run_http_load(load, recorder);
  return recorder.report();
}

int count(const nlohmann::json& report, const char* failure) { return report["failed_by_class"].value(failure, 0); }

std::set<std::string> lines(const std::string& path) {
  std::set<std::string> out;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) out.insert(line);
  return out;
}

TEST(HttpClient, AHealthyServerFailsNothing) {
  const TempDir dir;
  std::mutex mutex;
  std::set<std::string> ordered;
  ScriptedServer server([&](int, const std::string& request) -> Reply {
    if (const auto at = request.find(R"("op":")"); at != std::string::npos) {
      const auto op = request.substr(at + 6, request.find('"', at + 6) - at - 6);
      const std::scoped_lock lock(mutex);
      EXPECT_TRUE(ordered.insert(op).second) << op << " was sent twice";
    }
    return {ScriptedServer::wanted(request)};
  });
  const auto report = run(settings(server.port()), dir / "acknowledged");
  EXPECT_EQ(report["failed"], 0) << report.dump();
  EXPECT_EQ(report["requests"], server.requests());
  EXPECT_GT(report["requests"], 60);
  EXPECT_TRUE(report["first_failure_s"].is_null());
  EXPECT_EQ(lines(dir / "acknowledged"), ordered);
}

TEST(HttpClient, AStallIsChargedToEveryRequestThatWasDueMeanwhile) {
  ScriptedServer server([](int n, const std::string& request) -> Reply {
    if (n == 20) std::this_thread::sleep_for(milliseconds{400});
    return {ScriptedServer::wanted(request)};
  });
  auto load = settings(server.port());
  load.connections = 1;
  const auto report = run(load);
  EXPECT_EQ(report["failed"], 0);
  EXPECT_GE(report["stall_ms_max"].get<double>(), 400);
  // One answer was slow; about forty requests fell due behind it. Their tenth percentile waited, so p90 must show it.
  EXPECT_GE(report["latency_ms"]["p90"].get<double>(), 200) << report["latency_ms"].dump();
}

TEST(HttpClient, ABrokenConnectionFailsItsRequestAndIsNotRetried) {
  ScriptedServer server([](int n, const std::string& request) -> Reply {
    if (n % 10 == 5) return {"", true};
    return {ScriptedServer::wanted(request)};
  });
  const auto report = run(settings(server.port()));
  EXPECT_EQ(report["requests"], server.requests());
  EXPECT_EQ(count(report, "reset"), (server.requests() + 4) / 10);
  EXPECT_EQ(report["failed"], count(report, "reset"));
}

TEST(HttpClient, OtherStatusesAreFailuresByName) {
  const TempDir dir;
  ScriptedServer server([](int, const std::string&) -> Reply { return {ScriptedServer::ok(503)}; });
  const auto report = run(settings(server.port()), dir / "acknowledged");
  EXPECT_EQ(count(report, "status_503"), report["requests"]);
  EXPECT_TRUE(lines(dir / "acknowledged").empty());
}

TEST(HttpClient, AnAnnouncedCloseIsNoFailure) {
  ScriptedServer server([](int, const std::string& request) -> Reply {
    auto bytes = ScriptedServer::wanted(request);
    return {bytes.insert(bytes.find("\r\n") + 2, "Connection: close\r\n"), true};
  });
  EXPECT_EQ(run(settings(server.port()))["failed"], 0);
}

TEST(HttpClient, AnUnannouncedCloseOfAnIdleConnectionIsOne) {
  ScriptedServer server(
      [](int n, const std::string& request) -> Reply { return {ScriptedServer::wanted(request), n == 10}; });
  const auto report = run(settings(server.port()));
  // Idle when it closed, or already carrying the next request.
  EXPECT_EQ(report["failed"], 1) << report["failed_by_class"].dump();
  EXPECT_EQ(count(report, "dropped") + count(report, "reset"), 1);
}

TEST(HttpClient, SilenceIsATimeout) {
  ScriptedServer server([](int, const std::string&) -> Reply { return {}; });
  auto load = settings(server.port());
  load.timeout = milliseconds{300};
  load.length = milliseconds{400};
  const auto report = run(load);
  EXPECT_GT(report["requests"], 10);
  EXPECT_EQ(count(report, "timeout"), report["requests"]);
}

TEST(HttpClient, NobodyThereIsRefused) {
  int port = 0;
  {
    ScriptedServer gone([](int, const std::string&) -> Reply { return {}; });
    port = gone.port();
  }
  const auto report = run(settings(port));
  EXPECT_GT(report["requests"], 60);
  EXPECT_EQ(count(report, "refused"), report["requests"]);
}

TEST(HttpClient, NonsenseIsAProtocolFailure) {
  ScriptedServer server(
      [](int, const std::string&) -> Reply { return {"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"}; });
  const auto report = run(settings(server.port()));
  EXPECT_EQ(count(report, "protocol"), report["requests"]);
}

TEST(HttpClient, StopsEarlyAndWaitsForWhatIsOutstanding) {
  ScriptedServer server([](int, const std::string& request) -> Reply {
    std::this_thread::sleep_for(milliseconds{50});
    return {ScriptedServer::wanted(request)};
  });
  auto load = settings(server.port());
  load.length = std::chrono::seconds{60};
  load.stop = [&] { return server.requests() >= 10; };
  const auto report = run(load);
  EXPECT_EQ(report["failed"], 0) << report["failed_by_class"].dump();
  EXPECT_EQ(report["requests"], server.requests());
  EXPECT_LT(report["t_s"].get<double>(), 20);
}

}  // namespace
}  // namespace load
