#include "proxy/rest_room.hpp"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <cerrno>
#include <string>
#include <utility>
#include <vector>

namespace foreshadow::proxy {
namespace {

namespace asio = boost::asio;
using tcp = asio::ip::tcp;
using std::chrono::seconds;

struct Rest : testing::Test {
  asio::io_context context;
  tcp::acceptor acceptor{context, {asio::ip::address_v4::loopback(), 0}};
  std::vector<tcp::socket> woken;
  std::shared_ptr<RestRoom> room = std::make_shared<RestRoom>(
      context.get_executor(), [this](tcp::socket client) { woken.push_back(std::move(client)); });

  ~Rest() override { room->close(); }
  std::pair<tcp::socket, tcp::socket> connection() {
    tcp::socket client(context), served(context);
    client.connect(acceptor.local_endpoint());
    acceptor.accept(served);
    return {std::move(client), std::move(served)};
  }
  // The client's side of a connection whose other side rests.
  tcp::socket rest(RestRoom::Steady::time_point until = RestRoom::Steady::time_point::max()) {
    auto [client, served] = connection();
    SessionMark mark;
    EXPECT_TRUE(room->take(served, mark, until));
    return std::move(client);
  }
  bool until(const std::function<bool()>& condition) {
    const auto deadline = std::chrono::steady_clock::now() + seconds(20);
    while (!condition() && std::chrono::steady_clock::now() < deadline) {
      context.restart();
      context.run_one_for(std::chrono::milliseconds(50));
    }
    return condition();
  }
  static std::string read(tcp::socket& socket, std::size_t n) {
    std::string bytes(n, '\0');
    asio::read(socket, asio::buffer(bytes));
    return bytes;
  }
  static bool ended(tcp::socket& socket) {
    char byte = 0;
    boost::system::error_code error;
    socket.read_some(asio::buffer(&byte, 1), error);
    return error == asio::error::eof || error == asio::error::connection_reset;
  }
};

TEST_F(Rest, AClientThatSpeaksIsWokenWithWhatItSaid) {
  auto silent = rest(), client = rest();
  EXPECT_EQ(room->size(), 2U);
  asio::write(client, asio::buffer("hello", 5));
  ASSERT_TRUE(until([&] { return !woken.empty(); }));
  EXPECT_EQ(read(woken.front(), 5), "hello");
  EXPECT_EQ(room->size(), 1U);
  asio::write(woken.front(), asio::buffer("hi", 2));
  EXPECT_EQ(read(client, 2), "hi");
}

TEST_F(Rest, WhatWasSaidBeforeItCameIsNotMissed) {
  auto [client, served] = connection();
  asio::write(client, asio::buffer("early", 5));
  SessionMark mark;
  ASSERT_TRUE(room->take(served, mark, RestRoom::Steady::time_point::max()));
  ASSERT_TRUE(until([&] { return !woken.empty(); }));
  EXPECT_EQ(read(woken.front(), 5), "early");
}

TEST_F(Rest, AClientThatLeavesIsWokenToo) {
  auto client = rest();
  client.shutdown(tcp::socket::shutdown_send);
  ASSERT_TRUE(until([&] { return !woken.empty(); }));
  EXPECT_TRUE(ended(woken.front()));
}

TEST_F(Rest, EndsThoseWhoseTimeIsUp) {
  const auto now = RestRoom::Steady::now();
  auto first = rest(now), second = rest(now), later = rest(now + seconds(100));
  ASSERT_TRUE(until([&] { return room->size() == 1; }));
  EXPECT_TRUE(ended(first));
  EXPECT_TRUE(ended(second));
  EXPECT_TRUE(woken.empty());
  asio::write(later, asio::buffer("x", 1));
  EXPECT_TRUE(until([&] { return woken.size() == 1; }));
}

TEST_F(Rest, PlacesAreUsedAgainInAnyOrder) {
  std::vector<tcp::socket> clients;
  for (int i = 0; i < 5; ++i) clients.push_back(rest());
  for (const std::size_t i : {2U, 0U, 4U}) {
    asio::write(clients[i], asio::buffer("x", 1));
    const auto before = woken.size();
    ASSERT_TRUE(until([&] { return woken.size() == before + 1; }));
  }
  for (int i = 0; i < 4; ++i) clients.push_back(rest());
  EXPECT_EQ(room->size(), 6U);
  for (auto& client : clients) asio::write(client, asio::buffer("y", 1));
  EXPECT_TRUE(until([&] { return woken.size() == 9 && room->size() == 0; }));
}

TEST_F(Rest, ClosingEndsAllAndTakesNobodyAfter) {
  auto client = rest();
  room->close();
  EXPECT_TRUE(ended(client));
  auto [late, served] = connection();
  SessionMark mark;
  EXPECT_FALSE(room->take(served, mark, RestRoom::Steady::time_point::max()));
  EXPECT_TRUE(served.is_open());
  EXPECT_EQ(room->size(), 0U);
  EXPECT_TRUE(woken.empty());
}

TEST_F(Rest, WhoIsWokenMayCloseTheRoomBeforeTheNextOne) {
  room = std::make_shared<RestRoom>(context.get_executor(), [this](tcp::socket client) {
    woken.push_back(std::move(client));
    room->close();
  });
  auto first = rest(), second = rest();
  for (auto* client : {&first, &second}) asio::write(*client, asio::buffer("x", 1));
  ASSERT_TRUE(until([&] { return !woken.empty(); }));
  EXPECT_EQ(woken.size(), 1U);
  EXPECT_EQ(room->size(), 0U);
  context.restart();
  context.poll();
  EXPECT_EQ(woken.size(), 1U);
}

TEST_F(Rest, WhereTheSystemHasNoRoomAConnectionStaysWithItsSession) {
  auto [client, served] = connection();
  // UBSan opens a pipe to look at a vtable that it has not seen: the one that the warning needs it sees here.
  EXPECT_FALSE(boost::system::error_code(EMFILE, boost::system::system_category()).message().empty());
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit none{0, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  const auto full = std::make_shared<RestRoom>(context.get_executor(), [](tcp::socket) {});
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  SessionMark mark;
  EXPECT_FALSE(full->take(served, mark, RestRoom::Steady::time_point::max()));
  EXPECT_EQ(full->size(), 0U);
  asio::write(served, asio::buffer("hi", 2));
  EXPECT_EQ(read(client, 2), "hi");
}

}  // namespace
}  // namespace foreshadow::proxy
