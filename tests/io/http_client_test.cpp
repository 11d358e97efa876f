#include "io/http_client.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <atomic>
#include <thread>

#include "io/http_answer.hpp"
#include "io/socket.hpp"
#include "support/eventually.hpp"

namespace foreshadow::io {
namespace {

struct Bound {
  Fd fd;
  unsigned short port = 0;
};
Bound bind_loopback() {
  Bound bound{Fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0))};
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  EXPECT_EQ(::bind(bound.fd.get(), reinterpret_cast<sockaddr*>(&address), length), 0);
  EXPECT_EQ(::getsockname(bound.fd.get(), reinterpret_cast<sockaddr*>(&address), &length), 0);
  bound.port = ntohs(address.sin_port);
  return bound;
}

// Answers every connection with the same bytes once the request has come, in pieces of `piece`, then closes or stays.
struct Server {
  enum class Then { close, stay };
  Bound bound = bind_loopback();
  std::string request;  // of the last connection; read it after the call
  std::jthread thread;
  explicit Server(std::string answer, Then then = Then::close, std::size_t piece = 1 << 20) {
    EXPECT_EQ(::listen(bound.fd.get(), 16), 0);
    thread = std::jthread([this, answer = std::move(answer), then, piece](std::stop_token stop) {
      const StopEvent stopped(stop);
      std::vector<Fd> kept;
      while (await(bound.fd.get(), POLLIN, Deadline(Millis{60'000}), stopped, "server")) {
        Fd fd(::accept4(bound.fd.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
        std::string heard;
        while (heard.find("\r\n\r\n") == std::string::npos)
          if (!receive_some(fd.get(), heard, Deadline(Millis{10'000}), stopped, "server").value_or(0)) break;
        request = heard;
        for (std::size_t i = 0; i < answer.size(); i += piece)
          if (!send_all(fd.get(), std::string_view(answer).substr(i, piece), Deadline(Millis{10'000}), stopped,
                        "server"))
            break;
        if (then == Then::stay) kept.push_back(std::move(fd));
      }
    });
  }
  Result<HttpAnswer> get(Millis timeout = Millis{10'000}, std::stop_token stop = {}) {
    return http_get("127.0.0.1", bound.port, "/health?x=1", timeout, stop);
  }
};

TEST(HttpClient, AsksForWhatItWasToldOnce) {
  Server server("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
  const auto answer = server.get();
  ASSERT_TRUE(answer) << answer.error().what;
  EXPECT_EQ(answer->status, 200);
  EXPECT_EQ(answer->body, "ok");
  EXPECT_TRUE(server.request.starts_with(
      "GET /health?x=1 HTTP/1.1\r\nHost: 127.0.0.1:" + std::to_string(server.bound.port) + "\r\n"));
  EXPECT_NE(server.request.find("Connection: close\r\n"), std::string::npos);
}

TEST(HttpClient, NeedsNoCloseWhenTheLengthIsKnown) {
  for (const char* answer :
       {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1;ext=1\r\nk\r\n0\r\nA: b\r\n\r\n"}) {
    for (const std::size_t piece : {1u, 3u, 1000u}) {
      Server server(answer, Server::Then::stay, piece);
      const auto got = server.get();
      ASSERT_TRUE(got) << got.error().what;
      EXPECT_EQ(got->body, "ok");
    }
  }
}

TEST(HttpClient, ReadsToTheCloseWithoutALength) {
  Server server("HTTP/1.0 503 Busy\r\n\r\nnot now", Server::Then::close, 2);
  const auto answer = server.get();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 503);
  EXPECT_EQ(answer->body, "not now");
}

TEST(HttpClient, KeepsNoMoreOfABodyThanTheCap) {
  const std::string body(300'000, 'b');
  for (const std::string& answer :
       {"HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n" + body, "HTTP/1.1 200 OK\r\n\r\n" + body,
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n493e0\r\n" + body + "\r\n0\r\n\r\n"}) {
    Server server(answer, Server::Then::stay);
    const auto got = server.get();
    ASSERT_TRUE(got) << got.error().what;
    EXPECT_EQ(got->body.size(), HttpAnswerParser::body_max);
  }
}

TEST(HttpClient, NamesWorkLikeAddresses) {
  Server server("HTTP/1.1 204 No Content\r\n\r\n", Server::Then::stay);
  const auto answer = http_get("localhost", server.bound.port, "/", Millis{10'000});
  ASSERT_TRUE(answer) << answer.error().what;
  EXPECT_EQ(answer->status, 204);
}

TEST(HttpClient, NobodyThereIsUnreachable) {
  const auto bound = bind_loopback();  // bound but not listening: refused
  EXPECT_EQ(http_get("127.0.0.1", bound.port, "/", Millis{5000}).error().code, Code::unreachable);
  EXPECT_EQ(http_get("no-such-host.invalid", 80, "/", Millis{20'000}).error().code, Code::unreachable);
}

TEST(HttpClient, AStoppedListenerIsATimeout) {
  // Connections queue in the kernel, so that connect succeeds while nobody answers: a SIGSTOPped service looks like
  // this.
  auto bound = bind_loopback();
  ASSERT_EQ(::listen(bound.fd.get(), 1), 0);
  const auto started = std::chrono::steady_clock::now();
  const auto answer = http_get("127.0.0.1", bound.port, "/", Millis{150});
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Code::timeout);
  EXPECT_GE(std::chrono::steady_clock::now() - started, Millis{150});
}

TEST(HttpClient, AFullQueueTimesOutInConnect) {
  auto bound = bind_loopback();
  ASSERT_EQ(::listen(bound.fd.get(), 0), 0);
  const StopEvent never{std::stop_token{}};
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(bound.port);
  std::vector<Fd> queued;
  for (int i = 0; i < 8; ++i) {
    auto fd = connect_tcp(&address, sizeof address, Deadline(Millis{100}), never, "queue");
    if (!fd) break;
    queued.push_back(std::move(*fd));
  }
  ASSERT_LT(queued.size(), 8u) << "the queue never filled";
  EXPECT_EQ(http_get("127.0.0.1", bound.port, "/", Millis{150}).error().code, Code::timeout);
}

TEST(HttpClient, ADribbleCannotOutliveTheDeadline) {
  Server server("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", Server::Then::stay);
  EXPECT_EQ(server.get(Millis{150}).error().code, Code::timeout);
}

TEST(HttpClient, AStopTokenEndsIt) {
  Server server("", Server::Then::stay);
  std::stop_source source;
  std::jthread stopper([&] { source.request_stop(); });
  EXPECT_EQ(server.get(Millis{60'000}, source.get_token()).error().code, Code::cancelled);
}

TEST(HttpClient, SilenceIsUnreachableAndGarbageInvalid) {
  EXPECT_EQ(Server("").get().error().code, Code::unreachable);
  for (const char* bad :
       {"SSH-2.0-OpenSSH_9.2\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", "HTTP/2 200\r\n\r\n",
        "HTTP/1.1 20 OK\r\n\r\n", "HTTP/1.1 999 No\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\na",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\na",
        "HTTP/1.1 200 OK\r\nContent-Length : 1\r\n\r\na", "HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n", "HTTP/1.1 101 Go\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n"}) {
    const auto answer = Server(bad).get();
    ASSERT_FALSE(answer) << bad;
    EXPECT_EQ(answer.error().code, Code::invalid) << bad << answer.error().what;
  }
  EXPECT_EQ(Server("HTTP/1.1 200 OK\r\nA: " + std::string(20'000, 'a')).get().error().code, Code::invalid);
  std::string interims;
  for (int i = 0; i < 20; ++i) interims += "HTTP/1.1 103 Early\r\n\r\n";
  EXPECT_EQ(Server(interims).get().error().code, Code::invalid);
}

TEST(HttpClient, InterimAnswersArePassedOver) {
  const auto answer =
      Server("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", Server::Then::stay).get();
  ASSERT_TRUE(answer) << answer.error().what;
  EXPECT_EQ(answer->status, 200);
  EXPECT_EQ(answer->body, "");
}

TEST(HttpClient, NothingThatWouldEndALineIsSent) {
  for (const char* target : {"", "health", "/a b", "/a\r\nX: y", "/a\n", "/a#b", "/\x80"})
    EXPECT_EQ(http_get("127.0.0.1", 1, target, Millis{100}).error().code, Code::invalid) << target;
  for (const char* host : {"", "a b", "a\r\nb", "user@host", "host/path"})
    EXPECT_EQ(http_get(host, 1, "/", Millis{100}).error().code, Code::invalid) << host;
}

TEST(HttpClient, ManyAtOnce) {
  Server server("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
  std::atomic<int> right{0};
  {
    std::vector<std::jthread> callers;
    for (int t = 0; t < 8; ++t)
      callers.emplace_back([&] {
        for (int i = 0; i < 25; ++i)
          if (const auto answer = http_get("127.0.0.1", server.bound.port, "/", Millis{30'000});
              answer && answer->body == "ok")
            ++right;
      });
  }
  EXPECT_EQ(right, 200);
}

}  // namespace
}  // namespace foreshadow::io
