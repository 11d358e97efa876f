// What clients of one resource share, they share whichever of the gateway's threads their connections came to.
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "domain/json.hpp"
#include "io/rpc.hpp"
#include "kinds/http/insurance_rig.hpp"
#include "kinds/http/tls_rig.hpp"

namespace foreshadow::kinds::http {
namespace {

using namespace testing;
using nlohmann::json;

// Connections come to the threads in turn: of as many as there are threads, each has one.
template <class Base>
struct OnThreads : Base, ::testing::WithParamInterface<int> {
  OnThreads() { this->settings.threads = GetParam(); }
  std::vector<Stream> one_each() const {
    std::vector<Stream> clients;
    for (int i = 0; i < GetParam(); ++i) clients.push_back(this->connect());
    return clients;
  }
};

struct ThreadsHttp : OnThreads<Rig> {
  Result<json> ask_differences() const {
    return io::rpc_call(proxy::gateway_socket_path(dir.path(), "edge"), {{"verb", "differences"}, {"resource", "shop"}},
                        kPatient);
  }
};

constexpr const char* kBrowse = "GET /x HTTP/1.1\r\nHost: shop\r\n\r\n";
constexpr const char* kOrder = "POST /orders HTTP/1.1\r\nHost: shop\r\nContent-Length: 5\r\n\r\nhello";

TEST_P(ThreadsHttp, EveryThreadServesMirrorsAndIsCounted) {
  start();
  apply(split(0, 1.0));
  auto clients = one_each();
  constexpr int kEach = 20;
  for (auto& client : clients)
    for (int i = 0; i < kEach; ++i) {
      ASSERT_TRUE(client.send(kBrowse));
      ASSERT_EQ(read_message(client)->body, "a /x");
    }
  const auto all = static_cast<std::uint64_t>(kEach * GetParam());
  EXPECT_TRUE(eventually([&] { return segment("browse").mirror.sent == all; }));
  EXPECT_EQ(segment("browse").current.requests, all);
  EXPECT_EQ(report().sessions, GetParam());
  EXPECT_EQ(b.count(), all);
}

TEST_P(ThreadsHttp, OneBookOfDifferences) {
  listener().options["compare_cpu"] = "100%";
  start();
  apply(split(0, 1.0));
  a.handle(
      [](const Message&, Stream&) { return Backend::Reply{ok("{\"v\":1}", "Content-Type: application/json\r\n")}; });
  b.handle(
      [](const Message&, Stream&) { return Backend::Reply{ok("{\"v\":2}", "Content-Type: application/json\r\n")}; });
  auto clients = one_each();
  for (auto& client : clients)
    for (int i = 0; i < 5; ++i) {
      ASSERT_TRUE(client.send(kBrowse));
      ASSERT_TRUE(read_message(client));
    }
  const auto all = 5 * GetParam();
  // Comparing has the lowest priority: on a machine that is busy otherwise it takes its time.
  EXPECT_TRUE(eventually([&] { return segment("browse").mirror.mismatched == static_cast<std::uint64_t>(all); },
                         std::chrono::seconds{120}));
  const auto told = ask_differences();
  ASSERT_TRUE(told) << told.error().what;
  EXPECT_EQ(told->at("segments").at(0).at("compared"), all);
  EXPECT_EQ(told->at("segments").at(0).at("differing"), all);
}

TEST_P(ThreadsHttp, LinesOfTheAccessLogAreWhole) {
  const std::string path = dir / "access.log";
  listener().options["access_log"] = path;
  start();
  constexpr int kEach = 100;
  std::vector<std::thread> clients;
  for (int c = 0; c < 4 * GetParam(); ++c)
    clients.emplace_back([&, c] {
      auto client = connect();
      const auto request =
          "GET /" + std::string(static_cast<std::size_t>(50 * c), 'x') + " HTTP/1.1\r\nHost: h\r\n\r\n";
      for (int i = 0; i < kEach; ++i)
        if (!client.send(request) || !read_message(client)) return;
    });
  for (auto& client : clients) client.join();
  gateway.reset();
  std::ifstream in(path);
  int lines = 0;
  for (std::string line; std::getline(in, line); ++lines) {
    const auto parsed = json::parse(line, nullptr, false);
    ASSERT_TRUE(parsed.is_object()) << line;
    EXPECT_EQ(parsed.at("status"), 200);
  }
  EXPECT_EQ(lines, 4 * GetParam() * kEach);
}

TEST_P(ThreadsHttp, AnAddressHasItsConnectionsInAll) {
  listener().options["client_connections_max"] = "5";
  start();
  std::vector<Stream> in;
  for (int i = 0; i < 5; ++i) {
    in.push_back(connect());
    ASSERT_TRUE(in.back().send(kBrowse));
    ASSERT_EQ(read_message(in.back())->status(), 200);
  }
  for (int i = 0; i < 2 * GetParam(); ++i) EXPECT_TRUE(connect().ended());
  in.pop_back();
  EXPECT_TRUE(eventually([&] {
    auto client = connect();
    return client.send(kBrowse) && read_message(client).has_value();
  })) << "its place is free again";
}

TEST_P(ThreadsHttp, ConnectionsToAnInstanceAreLimitedInAll) {
  listener().limits.at_once_max = GetParam() + 1;
  listener().limits.queue_timeout = kPatient;
  a.handle([this](const Message&, Stream&) {
    a.stall();
    return Backend::Reply{ok("done")};
  });
  start();
  std::vector<Stream> clients;
  for (int i = 0; i < 4 * GetParam(); ++i) {
    clients.push_back(connect());
    ASSERT_TRUE(clients.back().send(kBrowse));
  }
  const auto told = [&] { return report().instances.at(0); };
  EXPECT_TRUE(eventually([&] { return told().busy + told().queued == 4 * GetParam(); }));
  EXPECT_EQ(told().busy, GetParam() + 1);
  a.release();
  for (auto& client : clients) EXPECT_EQ(read_message(client)->status(), 200);
}

TEST_P(ThreadsHttp, ThoseWhoRestComeBackToTheirThread) {
  start();
  auto clients = one_each();
  for (auto& client : clients) {
    ASSERT_TRUE(client.send(kBrowse));
    ASSERT_TRUE(read_message(client));
  }
  // Longer than a session waits before its connection rests.
  std::this_thread::sleep_for(std::chrono::milliseconds{1500});
  EXPECT_EQ(report().sessions, GetParam());
  for (auto& client : clients) {
    ASSERT_TRUE(client.send(kBrowse));
    EXPECT_EQ(read_message(client)->status(), 200);
  }
}

INSTANTIATE_TEST_SUITE_P(Several, ThreadsHttp, ::testing::Values(2, 3));

struct ThreadsInsured : OnThreads<InsuranceRig> {};

TEST_P(ThreadsInsured, WhatOneFoundOutOfTheShadowAllKnow) {
  start_insured();  // over one connection
  a.kill();
  auto clients = one_each();
  for (auto& client : clients) {
    ASSERT_TRUE(client.send(kBrowse));
    const auto answer = read_message(client);
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->body, "same /x");
  }
}

TEST_P(ThreadsInsured, WhoHasWrittenAtOneIsNotShownThePastByAnother) {
  listener().options["sticky"] = "address";
  option()["insurance_staleness"] = "10m";
  start_insured();
  auto clients = one_each();
  ASSERT_TRUE(clients.front().send(kOrder));
  ASSERT_EQ(read_message(clients.front())->status(), 200);
  a.kill();
  for (auto& client : clients) {
    ASSERT_TRUE(client.send(kBrowse));
    EXPECT_EQ(read_message(client)->status(), 503);
  }
  EXPECT_EQ(asked(), 0u);
}

INSTANTIATE_TEST_SUITE_P(Several, ThreadsInsured, ::testing::Values(2));

struct ThreadsTls : OnThreads<TlsRig> {};

TEST_P(ThreadsTls, ASessionIsResumedAtAnother) {
  serve_tls();
  start();
  auto first = connect_tls(port, client());
  ASSERT_TRUE(first.stream.send(kGet));
  ASSERT_TRUE(read_message(first.stream));
  for (int i = 0; i < 2 * GetParam(); ++i) {
    auto next = connect_tls(port, client(), first.tls->session());
    EXPECT_TRUE(next.tls->resumed()) << i;
    ASSERT_TRUE(next.stream.send(kGet));
    EXPECT_EQ(read_message(next.stream)->status(), 200);
  }
}

TEST_P(ThreadsTls, ARenewedCertificateReachesAll) {
  serve_tls();
  start();
  save("shop", shop = authority.issue({"renewed.test", "shop.test"}));
  EXPECT_TRUE(eventually([&] {
    for (int i = 0; i < GetParam(); ++i)
      if (connect_tls(port, client()).tls->peer() != "renewed.test") return false;
    return true;
  }));
  write(dir / "shop.pem", "-----BEGIN CERTIFICATE-----\nrubbish\n");
  for (int i = 0; i < 4 * GetParam(); ++i) EXPECT_EQ(connect_tls(port, client()).tls->peer(), "renewed.test");
}

INSTANTIATE_TEST_SUITE_P(Several, ThreadsTls, ::testing::Values(2));

}  // namespace
}  // namespace foreshadow::kinds::http
