// A real gateway with a protocol so small that what is tested is the gateway: each byte from the client is one unit of
// work, answered with the id of the instance that would do it, or with '!' when it was not let through.
#pragma once

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <boost/asio.hpp>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <thread>
#include <utility>

#include "domain/json.hpp"
#include "io/rpc.hpp"
#include "proxy/gateway.hpp"
#include "proxy/tables.hpp"

namespace foreshadow::proxy::testing {

namespace asio = boost::asio;
using nlohmann::json;


class ByteProtocol final : public Protocol {
 public:
  explicit ByteProtocol(std::shared_ptr<int> made = std::make_shared<int>(0)) : made_(std::move(made)) {}
  Result<std::unique_ptr<Protocol>> another(asio::any_io_executor) override {
    return std::make_unique<ByteProtocol>(made_);
  }

  asio::awaitable<void> serve(asio::ip::tcp::socket client, Gate& gate) override {
    const auto mark = gate.session();
    UnmovableMark unmovable;
    for (;;) {
      char byte = 0;
      auto [read_error, n] =
          co_await client.async_read_some(asio::buffer(&byte, 1), asio::as_tuple(asio::use_awaitable));
      if (read_error) co_return;
      std::string answer = "!";
      if (byte == 'u') unmovable = gate.unmovable("asked to stay");
      // Which thread this is; not work.
      if (byte == 't') {
        answer = static_cast<char>('0' + nth_);
      } else if (auto pass = co_await gate.enter(0, 0, byte == 'r' ? Work::read : Work::write)) {
        // 'w' works until the client sends another byte.
        if (byte == 'w') co_await client.async_read_some(asio::buffer(&byte, 1), asio::as_tuple(asio::use_awaitable));
        pass->finish(true, Micros{10});
        answer = pass->target().id;
      }
      auto [write_error, m] =
          co_await asio::async_write(client, asio::buffer(answer), asio::as_tuple(asio::use_awaitable));
      if (write_error) co_return;
    }
  }

 private:
  std::shared_ptr<int> made_;
  const int nth_ = (*made_)++;
};

// Blocking, with a deadline so that a broken gateway fails the test instead of hanging it.
class Client {
 public:
  explicit Client(std::uint16_t port) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const timeval limit{20, 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0;
  }
  Client(Client&& other) noexcept : fd_(std::exchange(other.fd_, -1)), connected_(other.connected_) {}
  ~Client() {
    if (fd_ >= 0) close(fd_);
  }
  bool connected() const { return connected_; }
  void send(char byte) const { EXPECT_EQ(::send(fd_, &byte, 1, MSG_NOSIGNAL), 1); }
  bool try_send(char byte) const { return ::send(fd_, &byte, 1, MSG_NOSIGNAL) == 1; }
  void end() const { shutdown(fd_, SHUT_RDWR); }
  // 'a', 'b', '!', or 0 for the end.
  char receive() const {
    char byte = 0;
    return recv(fd_, &byte, 1, 0) == 1 ? byte : '\0';
  }
  char ask(char what = 'x') const {
    send(what);
    return receive();
  }

 private:
  int fd_;
  bool connected_ = false;
};

// The parameter: threads of the gateway.
struct GatewayTest : ::testing::TestWithParam<int> {
  std::string dir = std::filesystem::temp_directory_path() / ("foreshadow-gateway-" + std::to_string(getpid()));
  std::uint16_t port = 0;

  void SetUp() override { std::filesystem::remove_all(dir); }
  void TearDown() override { std::filesystem::remove_all(dir); }

  GatewaySettings settings() const {
    GatewaySettings s{.name = "edge", .state_dir = dir, .listeners = {}, .threads = GetParam()};
    ListenerSettings l;
    l.resource = "shop";
    l.listen = {"127.0.0.1", port};
    l.segments = testing::segments();
    l.primary = instance("a", 9001);
    s.listeners.push_back(l);
    return s;
  }
  static Result<std::unique_ptr<Protocol>> protocol(const ListenerSettings&, asio::any_io_executor) {
    return std::make_unique<ByteProtocol>();
  }
  std::unique_ptr<Gateway> start() {
    auto gateway = Gateway::start(settings(), protocol);
    EXPECT_TRUE(gateway) << gateway.error().what;
    if (!gateway) return nullptr;
    port = (*gateway)->endpoint("shop").port;
    return std::move(*gateway);
  }
  Result<json> call(const json& request) const {
    return io::rpc_call(gateway_socket_path(dir, "edge"), request, kLong);
  }
  Result<json> apply(const RouteTable& t) const { return call({{"verb", "apply"}, {"table", t}}); }
  Result<json> hold(std::uint64_t next_epoch,
                    HoldPolicy policy = {.lease = kLong, .budget = kLong, .park_max = kLong}) const {
    return call({{"verb", "hold"}, {"resource", "shop"}, {"term", 1}, {"next_epoch", next_epoch}, {"policy", policy}});
  }
  Result<json> seal(std::uint64_t next_epoch, const std::string& incarnation) const {
    return call({{"verb", "seal"},
                 {"resource", "shop"},
                 {"term", 1},
                 {"next_epoch", next_epoch},
                 {"incarnation", incarnation}});
  }
  Result<json> release(std::uint64_t next_epoch) const {
    return call({{"verb", "release"}, {"resource", "shop"}, {"term", 1}, {"next_epoch", next_epoch}});
  }
  GatewayReport report() const {
    const auto answer = call({{"verb", "report"}, {"resource", "shop"}});
    EXPECT_TRUE(answer) << answer.error().what;
    return answer ? answer->get<GatewayReport>() : GatewayReport{};
  }
  template <class F>
  static bool until(F condition) {
    const auto deadline = std::chrono::steady_clock::now() + kLong;
    while (!condition()) {
      if (std::chrono::steady_clock::now() > deadline) return false;
      std::this_thread::yield();
    }
    return true;
  }
};

// Clients that ask again and again, each time over a new connection.
class Asking {
 public:
  // `expected`: every answer.
  Asking(std::uint16_t port, char expected) {
    for (auto& client : clients_)
      client = std::jthread([this, port, expected](const std::stop_token& stop) {
        while (!stop.stop_requested()) {
          const Client one(port);
          refused_ += !one.connected() || one.ask() != expected;
          ++done_;
        }
      });
  }
  // Twenty more have an answer, or were refused one.
  bool goes_on() const {
    const int enough = done_ + 20;
    return GatewayTest::until([&] { return done_ >= enough; });
  }
  void end() {
    for (auto& client : clients_) client.request_stop();
    for (auto& client : clients_) client.join();
  }
  int refused() const { return refused_; }
  int done() const { return done_; }

 private:
  std::atomic<int> refused_ = 0, done_ = 0;
  std::array<std::jthread, 4> clients_;
};

}  // namespace foreshadow::proxy::testing
