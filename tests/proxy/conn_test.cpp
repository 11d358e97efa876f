// What a connection believes of its socket between two system calls.
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/socket_base.hpp>
#include <boost/asio/write.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "proxy/conn/conn.hpp"

namespace foreshadow::proxy {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using Steady = std::chrono::steady_clock;
constexpr std::chrono::seconds kPatient{20};

struct ConnTest : ::testing::Test {
  ConnTest() {
    tcp::acceptor acceptor(io, {asio::ip::address_v4::loopback(), 0});
    peer.connect(acceptor.local_endpoint());
    conn.emplace(acceptor.accept(), watchdog);
  }
  // Runs the loop until that is so.
  bool until(const std::function<bool()>& true_now) {
    const auto end = Steady::now() + kPatient;
    while (!true_now() && Steady::now() < end) io.run_one_for(std::chrono::milliseconds(10));
    return true_now();
  }
  // Everything that has come is dispatched. The watchdog is always about to look again.
  void settle() {
    for (int i = 0; i < 3; ++i) {
      io.run_for(std::chrono::milliseconds(1));
      io.restart();
    }
  }
  void say(std::string_view text) { asio::write(peer, asio::buffer(text)); }
  void leave() { peer.shutdown(tcp::socket::shutdown_send); }
  void fill() {
    filled.reset();
    asio::co_spawn(io, fill_once(), asio::detached);
  }
  awaitable<void> fill_once() {
    const auto error = co_await conn->fill();
    filled = error;
  }
  std::string take() {
    std::string text(conn->unread());
    conn->consume(text.size());
    return text;
  }

  asio::io_context io;
  std::shared_ptr<Watchdog> watchdog = std::make_shared<Watchdog>(io.get_executor());
  tcp::socket peer{io};
  std::optional<Conn> conn;
  std::optional<error_code> filled;
};

TEST_F(ConnTest, AnEndThatCameWithTheLastBytesIsHeardOf) {
  conn->expect_more();
  say("all");
  leave();
  fill();
  ASSERT_TRUE(until([&] { return filled.has_value(); }));
  EXPECT_FALSE(*filled);
  EXPECT_EQ(take(), "all");
  fill();
  ASSERT_TRUE(until([&] { return filled.has_value(); }));
  EXPECT_EQ(*filled, asio::error::eof);
}

TEST_F(ConnTest, AnEndBeforeAnybodyAsksIsHeardOf) {
  say("all");
  leave();
  settle();
  conn->expect_more();
  error_code error;
  ASSERT_TRUE(conn->fill_now(error));
  EXPECT_EQ(take(), "all");
  settle();
  ASSERT_TRUE(conn->fill_now(error));
  EXPECT_EQ(error, asio::error::eof);
}

TEST_F(ConnTest, OneThatWasReadDryIsNotReadAgainBeforeItsNextEdge) {
  conn->expect_more();
  say("one");
  fill();
  ASSERT_TRUE(until([&] { return filled.has_value(); }));
  EXPECT_EQ(take(), "one");
  EXPECT_TRUE(conn->seems_quiet());
  error_code error;
  EXPECT_FALSE(conn->fill_now(error));
  say("two");
  // It is there, but the event loop has not said so.
  EXPECT_FALSE(conn->fill_now(error));
  EXPECT_FALSE(conn->quiet()) << "who must be certain looks";
  ASSERT_TRUE(until([&] { return !conn->seems_quiet(); }));
  ASSERT_TRUE(conn->fill_now(error));
  EXPECT_EQ(take(), "two");
}

TEST_F(ConnTest, OneThatRestsIsKnownToHaveEnded) {
  conn->expect_more();
  say("answer");
  fill();
  ASSERT_TRUE(until([&] { return filled.has_value(); }));
  take();
  EXPECT_TRUE(conn->seems_quiet());
  peer.close();
  EXPECT_TRUE(until([&] { return !conn->seems_quiet(); }));
}

TEST_F(ConnTest, ManyPiecesComeWholeAndInOrder) {
  conn->expect_more();
  std::string sent, got;
  for (int i = 0; i < 500; ++i) {
    const std::string piece(static_cast<std::size_t>(1 + i * 37 % 900), static_cast<char>('a' + i % 26));
    say(piece);
    sent += piece;
    if (i % 7 == 0) settle();
    if (i % 3 != 0) continue;
    fill();
    ASSERT_TRUE(until([&] { return filled.has_value(); })) << i;
    ASSERT_FALSE(*filled);
    got += take();
  }
  leave();
  do {
    fill();
    ASSERT_TRUE(until([&] { return filled.has_value(); }));
    got += take();
  } while (!*filled);
  EXPECT_EQ(*filled, asio::error::eof);
  EXPECT_EQ(got, sent);
}

TEST_F(ConnTest, ADeadlineEndsTheWaitAndNotTheNextOne) {
  conn->watch().arm(std::chrono::milliseconds(1));
  fill();
  ASSERT_TRUE(until([&] { return filled.has_value(); }));
  EXPECT_EQ(*filled, asio::error::timed_out);
  // A deadline that passes while nobody waits, whose cancelled wait is heard of only now.
  conn->watch().disarm();
  conn->cancel();
  fill();
  settle();
  EXPECT_FALSE(filled) << filled->message();
  say("late");
  ASSERT_TRUE(until([&] { return filled.has_value(); }));
  EXPECT_FALSE(*filled);
  EXPECT_EQ(take(), "late");
}

TEST_F(ConnTest, CancelEndsAWait) {
  fill();
  settle();
  EXPECT_FALSE(filled);
  conn->cancel();
  ASSERT_TRUE(until([&] { return filled.has_value(); }));
  EXPECT_EQ(*filled, asio::error::operation_aborted);
}

TEST_F(ConnTest, CloseEndsAWaitAndAllThatFollows) {
  conn->expect_more();
  fill();
  settle();
  EXPECT_FALSE(filled);
  conn->close();
  ASSERT_TRUE(until([&] { return filled.has_value(); }));
  EXPECT_TRUE(*filled);
  EXPECT_FALSE(conn->is_open());
  fill();
  ASSERT_TRUE(until([&] { return filled.has_value(); }));
  EXPECT_TRUE(*filled);
  // The descriptor's number may be somebody else's by now.
  Conn::Parts parts{asio::buffer("x", 1)};
  Conn::Written written;
  EXPECT_TRUE(conn->write_now(parts, written));
  EXPECT_TRUE(written.error);
  EXPECT_EQ(written.bytes, 0U);
}

TEST_F(ConnTest, APeekedByteIsStillThere) {
  std::optional<char> first, none;
  bool asked = false;
  const auto look = [&](std::optional<char>& into) -> awaitable<void> {
    into = co_await conn->peek();
    asked = true;
  };
  asio::co_spawn(io, look(first), asio::detached);
  settle();
  EXPECT_FALSE(asked);
  say("ab");
  ASSERT_TRUE(until([&] { return asked; }));
  EXPECT_EQ(first, 'a');
  EXPECT_EQ(conn->unread(), "");
  std::array<char, 2> got{};
  const auto take_both = [&]() -> awaitable<void> { filled = co_await conn->receive(got.data(), got.size()); };
  asio::co_spawn(io, take_both(), asio::detached);
  ASSERT_TRUE(until([&] { return filled.has_value(); }));
  EXPECT_EQ(std::string_view(got.data(), 2), "ab");
  leave();
  asked = false;
  asio::co_spawn(io, look(none), asio::detached);
  ASSERT_TRUE(until([&] { return asked; }));
  EXPECT_FALSE(none);
}

TEST_F(ConnTest, PeekingEndsAtTheDeadline) {
  bool asked = false;
  std::optional<char> first;
  const auto look = [&]() -> awaitable<void> {
    first = co_await conn->peek();
    asked = true;
  };
  conn->watch().arm(std::chrono::milliseconds(30));
  asio::co_spawn(io, look(), asio::detached);
  ASSERT_TRUE(until([&] { return asked; }));
  EXPECT_FALSE(first);
  EXPECT_TRUE(conn->timed_out());
}

TEST_F(ConnTest, AUnixSocketServesAsWell) {
  int ends[2] = {-1, -1};
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  error_code error;
  conn.emplace(adopt(io.get_executor(), ends[0], error), watchdog);
  ASSERT_FALSE(error) << error.message();
  conn->expect_more();
  fill();
  settle();
  EXPECT_FALSE(filled);
  ASSERT_EQ(::send(ends[1], "hello", 5, MSG_NOSIGNAL), 5);
  ASSERT_TRUE(until([&] { return filled.has_value(); }));
  EXPECT_EQ(take(), "hello");
  Conn::Parts parts{asio::buffer("you", 3)};
  Conn::Written written;
  EXPECT_TRUE(conn->write_now(parts, written));
  std::array<char, 8> got{};
  EXPECT_EQ(::recv(ends[1], got.data(), got.size(), 0), 3);
  ::close(ends[1]);
  fill();
  ASSERT_TRUE(until([&] { return filled.has_value(); }));
  EXPECT_EQ(*filled, asio::error::eof);
}

// Its frames hold the connection, which holds the wait, which holds the frames.
awaitable<void> keep(std::unique_ptr<Conn> conn) { co_await conn->fill(); }

TEST_F(ConnTest, WhoStillWaitsAtTheEndOfTheLoopGoesWithIt) {
  std::weak_ptr<Watchdog> left;
  {
    asio::io_context other;
    tcp::socket near(other), far(other);
    tcp::acceptor acceptor(other, {asio::ip::address_v4::loopback(), 0});
    near.connect(acceptor.local_endpoint());
    acceptor.accept(far);
    auto dog = std::make_shared<Watchdog>(other.get_executor());
    left = dog;
    asio::co_spawn(other, keep(std::make_unique<Conn>(std::move(far), std::move(dog))), asio::detached);
    other.run_for(std::chrono::milliseconds(5));
    EXPECT_FALSE(left.expired());
  }
  EXPECT_TRUE(left.expired());
}

}  // namespace
}  // namespace foreshadow::proxy
