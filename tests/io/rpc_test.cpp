#include "io/rpc.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <latch>
#include <nlohmann/json.hpp>
#include <thread>

#include "io/files.hpp"
#include "io/rpc_line.hpp"
#include "io/socket.hpp"
#include "support/eventually.hpp"
#include "support/temp_dir.hpp"

namespace foreshadow::io {
namespace {

using nlohmann::json;
using testing::eventually;
using testing::TempDir;

Result<json> echo(const json& request) { return request; }

// A raw client, to say what rpc_call never would.
struct Raw {
  StopEvent never{std::stop_token{}};
  Fd fd;
  explicit Raw(const std::string& path) : fd(std::move(connect_unix(path, Deadline(Millis{2000}), never).value())) {}
  Result<void> say(std::string_view bytes) {
    return send_all(fd.get(), bytes, Deadline(Millis{10'000}), never, "test");
  }
  std::string hear_line() {
    std::string heard;
    while (heard.find('\n') == std::string::npos) {
      const auto n = receive_some(fd.get(), heard, Deadline(Millis{10'000}), never, "test");
      if (!n || *n == 0) break;
    }
    return heard;
  }
};

// A listener that does with each connection what it is told, on one thread.
struct Peer {
  TempDir dir;
  std::string path = dir / "s";
  Fd listener = std::move(listen_unix(path, 0600).value());
  std::jthread thread;
  template <class Behaviour>
  explicit Peer(Behaviour behaviour) {
    thread = std::jthread([this, behaviour](std::stop_token stop) {
      const StopEvent stopped(stop);
      while (await(listener.get(), POLLIN, Deadline(Millis{60'000}), stopped, "peer")) {
        const Fd fd(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
        behaviour(fd.get(), stopped);
      }
    });
  }
};

TEST(Rpc, CarriesValuesAndErrors) {
  TempDir dir;
  const auto server = RpcServer::listen(dir / "s", [](const json& request) -> Result<json> {
    if (request.at("verb") == "no") return fail(Code::conflict, "epoch 7 is newer");
    if (request.at("verb") == "nothing") return json(nullptr);
    return json{{"you_said", request.at("verb")}};
  });
  ASSERT_TRUE(server);
  EXPECT_EQ(rpc_call(dir / "s", {{"verb", "hi"}}, Millis{5000}).value(), (json{{"you_said", "hi"}}));
  EXPECT_EQ(rpc_call(dir / "s", {{"verb", "nothing"}}, Millis{5000}).value(), json(nullptr));
  const auto refused = rpc_call(dir / "s", {{"verb", "no"}}, Millis{5000});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error(), (Error{Code::conflict, "epoch 7 is newer"}));
}

TEST(Rpc, ExceptionsOfAHandlerAreErrorsAndTheServerGoesOn) {
  TempDir dir;
  const auto server = RpcServer::listen(dir / "s", [](const json& request) -> Result<json> {
    if (request.contains("throw")) throw std::runtime_error("bang");
    return request.at("verb");
  });
  EXPECT_EQ(rpc_call(dir / "s", {{"x", 1}}, Millis{5000}).error().code, Code::invalid);
  EXPECT_EQ(rpc_call(dir / "s", {{"throw", 1}}, Millis{5000}).error(),
            (Error{Code::io, "the request could not be handled: bang"}));
  EXPECT_EQ(rpc_call(dir / "s", {{"verb", "still here"}}, Millis{5000}).value(), "still here");
}

TEST(Rpc, OnlyTheOwnerMayConnect) {
  TempDir dir;
  const auto before = ::umask(0);
  const auto server = RpcServer::listen(dir / "s", echo);
  ::umask(before);
  struct stat st{};
  ASSERT_EQ(::lstat((dir / "s").c_str(), &st), 0);
  EXPECT_TRUE(S_ISSOCK(st.st_mode));
  EXPECT_EQ(st.st_mode & 0777, 0600u);
}

TEST(Rpc, ASecondServerIsRefusedAndTheFirstServesOn) {
  TempDir dir;
  auto first = RpcServer::listen(dir / "s", echo);
  ASSERT_TRUE(first);
  const auto second = RpcServer::listen(dir / "s", echo);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Code::conflict);
  EXPECT_TRUE(rpc_call(dir / "s", {{"verb", "hi"}}, Millis{5000}));
  first->reset();
  EXPECT_FALSE(std::filesystem::exists(dir / "s"));
  EXPECT_EQ(rpc_call(dir / "s", {{"verb", "hi"}}, Millis{5000}).error().code, Code::unreachable);
  EXPECT_TRUE(RpcServer::listen(dir / "s", echo));
}

TEST(Rpc, ASocketThatAStrangerListensOnIsNotTaken) {
  Peer stranger([](int, const StopEvent&) {});
  EXPECT_EQ(RpcServer::listen(stranger.path, echo).error().code, Code::conflict);
}

TEST(Rpc, AKilledServersSocketIsTakenOver) {
  TempDir dir;
  const pid_t child = ::fork();
  if (child == 0) {
    const auto server = RpcServer::listen(dir / "s", echo);
    ::pause();
    ::_exit(0);
  }
  ASSERT_TRUE(eventually([&] { return rpc_call(dir / "s", {{"verb", "up?"}}, Millis{1000}).has_value(); }));
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  ASSERT_TRUE(std::filesystem::exists(dir / "s"));
  EXPECT_EQ(rpc_call(dir / "s", {{"verb", "hi"}}, Millis{1000}).error().code, Code::unreachable);
  const auto server = RpcServer::listen(dir / "s", echo);
  ASSERT_TRUE(server) << server.error().what;
  EXPECT_TRUE(rpc_call(dir / "s", {{"verb", "hi"}}, Millis{5000}));
}

TEST(Rpc, AFileThatIsNoSocketIsNeverRemoved) {
  TempDir dir;
  std::ofstream(dir / "s") << "precious";
  const auto server = RpcServer::listen(dir / "s", echo);
  ASSERT_FALSE(server);
  EXPECT_EQ(server.error().code, Code::invalid);
  EXPECT_EQ(read_file(dir / "s").value(), "precious");
}

TEST(Rpc, APathTooLongNamesTheMend) {
  TempDir dir;
  const auto path = dir / std::string(120, 'p');
  EXPECT_EQ(RpcServer::listen(path, echo).error().code, Code::invalid);
  const auto called = rpc_call(path, {{"verb", "hi"}}, Millis{100});
  EXPECT_EQ(called.error().code, Code::invalid);
  EXPECT_NE(called.error().what.find("shorter state_dir"), std::string::npos);
}

TEST(Rpc, OneConnectionMayAskManyTimesAndInPieces) {
  TempDir dir;
  const auto server = RpcServer::listen(dir / "s", echo);
  Raw raw(dir / "s");
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(raw.say("{\"n\":"));
    ASSERT_TRUE(raw.say(std::to_string(i) + "}\n"));
    EXPECT_EQ(parse_rpc_answer(raw.hear_line()).value(), (json{{"n", i}}));
  }
}

TEST(Rpc, GarbageGetsAnErrorAndAnOversizeLineItsEnd) {
  TempDir dir;
  const auto server = RpcServer::listen(dir / "s", echo);
  Raw raw(dir / "s");
  for (const char* garbage : {"\n", "nonsense\n", "[1]\n", "{\"a\":\n", "\xff\xfe\n"}) {
    ASSERT_TRUE(raw.say(garbage));
    EXPECT_EQ(parse_rpc_answer(raw.hear_line()).error().code, Code::invalid) << garbage;
  }
  ASSERT_TRUE(raw.say("{\"fine\":1}\n"));
  EXPECT_TRUE(parse_rpc_answer(raw.hear_line()));
  Raw endless(dir / "s");
  (void)endless.say(std::string(kRpcLineMax + 1, 'a'));
  const auto answer = parse_rpc_answer(endless.hear_line());
  ASSERT_FALSE(answer);
  EXPECT_NE(answer.error().what.find("longer than"), std::string::npos) << answer.error().what;
  EXPECT_EQ(endless.hear_line(), "") << "after an oversize line the connection must end";
}

TEST(Rpc, TheLargestLineFitsAndOneMoreByteIsRefusedBeforeItIsSent) {
  TempDir dir;
  const auto server = RpcServer::listen(
      dir / "s", [](const json& r) -> Result<json> { return r.at("s").get_ref<const std::string&>().size(); });
  const auto room = kRpcLineMax - std::string_view(R"({"s":""})").size();
  EXPECT_EQ(rpc_call(dir / "s", {{"s", std::string(room, 'x')}}, Millis{120'000}).value(), room);
  EXPECT_EQ(rpc_call(dir / "s", {{"s", std::string(room + 1, 'x')}}, Millis{120'000}).error().code, Code::invalid);
}

TEST(Rpc, AnAnswerTooLargeIsAnErrorAnswer) {
  TempDir dir;
  const auto server =
      RpcServer::listen(dir / "s", [](const json&) -> Result<json> { return std::string(kRpcLineMax, 'x'); });
  const auto answer = rpc_call(dir / "s", {{"verb", "much"}}, Millis{120'000});
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Code::invalid);
  EXPECT_NE(answer.error().what.find("cannot be sent"), std::string::npos);
}

TEST(Rpc, BytesThatAreNotUtf8AreReplacedNotThrownOn) {
  TempDir dir;
  const auto server =
      RpcServer::listen(dir / "s", [](const json&) -> Result<json> { return fail(Code::io, "bad \xff name"); });
  const auto answer = rpc_call(dir / "s", {{"verb", "a\xff z"}}, Millis{5000});
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().what, "bad \xef\xbf\xbd name");
}

TEST(Rpc, ASlowHandlerIsATimeoutBecauseItMayHaveHappened) {
  TempDir dir;
  std::latch release(1);
  const auto server = RpcServer::listen(dir / "s", [&](const json& r) -> Result<json> {
    release.wait();
    return r;
  });
  const auto answer = rpc_call(dir / "s", {{"verb", "slow"}}, Millis{100});
  release.count_down();
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Code::timeout);
}

TEST(Rpc, APeerThatTakesTheRequestAndDiesIsATimeoutToo) {
  Peer peer([](int fd, const StopEvent& stop) {
    std::string heard;
    (void)receive_some(fd, heard, Deadline(Millis{5000}), stop, "peer");
  });
  const auto answer = rpc_call(peer.path, {{"verb", "x"}}, Millis{5000});
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Code::timeout);
  EXPECT_NE(answer.error().what.find("may have been done"), std::string::npos) << answer.error().what;
}

TEST(Rpc, APeerThatReadsNothingLeavesTheRequestUndone) {
  std::latch release(1);
  Peer peer([&](int, const StopEvent&) { release.wait(); });
  const auto answer = rpc_call(peer.path, {{"s", std::string(kRpcLineMax - 100, 'x')}}, Millis{200});
  release.count_down();
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Code::unreachable);
}

TEST(Rpc, AnswersThatAreNoneAreInvalid) {
  for (const std::string bad :
       {"garbage\n", "{}\n", "{\"ok\":true}\n", "{\"ok\":false}\n", "{\"ok\":1,\"value\":2}\n"}) {
    Peer peer([bad](int fd, const StopEvent& stop) {
      std::string heard;
      (void)receive_some(fd, heard, Deadline(Millis{5000}), stop, "peer");
      (void)send_all(fd, bad, Deadline(Millis{5000}), stop, "peer");
    });
    EXPECT_EQ(rpc_call(peer.path, {{"verb", "x"}}, Millis{5000}).error().code, Code::invalid) << bad;
  }
}

TEST(Rpc, AnEndlessAnswerIsCutAtTheCap) {
  Peer peer([](int fd, const StopEvent& stop) {
    while (send_all(fd, std::string(65536, 'x'), Deadline(Millis{5000}), stop, "peer")) {
    }
  });
  EXPECT_EQ(rpc_call(peer.path, {{"verb", "x"}}, Millis{120'000}).error().code, Code::invalid);
}

TEST(Rpc, AStopTokenEndsAWaitingCall) {
  TempDir dir;
  std::latch arrived(1), release(1);
  const auto server = RpcServer::listen(dir / "s", [&](const json& r) -> Result<json> {
    arrived.count_down();
    release.wait();
    return r;
  });
  std::stop_source source;
  std::jthread stopper([&] {
    arrived.wait();
    source.request_stop();
  });
  const auto answer = rpc_call(dir / "s", {{"verb", "x"}}, Millis{60'000}, source.get_token());
  release.count_down();
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Code::cancelled);
}

TEST(Rpc, ConnectionsOverTheCapAreToldSoAndTheRestGoesOn) {
  TempDir dir;
  const auto server = RpcServer::listen(dir / "s", echo, 2);
  Raw one(dir / "s");
  {
    Raw two(dir / "s");
    for (Raw* raw : {&one, &two}) {
      ASSERT_TRUE(raw->say("{}\n"));
      ASSERT_TRUE(parse_rpc_answer(raw->hear_line()));
    }
    Raw three(dir / "s");
    EXPECT_EQ(parse_rpc_answer(three.hear_line()).error().code, Code::refused);
  }
  EXPECT_TRUE(eventually([&] { return rpc_call(dir / "s", {{"verb", "x"}}, Millis{5000}).has_value(); }));
  EXPECT_EQ(RpcServer::listen(dir / "t", echo, 0).error().code, Code::invalid);
}

TEST(Rpc, ManyCallsAtOnceEachGetTheirOwnAnswer) {
  TempDir dir;
  const auto server = RpcServer::listen(dir / "s", echo);
  std::atomic<int> right{0};
  {
    std::vector<std::jthread> callers;
    for (int t = 0; t < 16; ++t)
      callers.emplace_back([&, t] {
        for (int i = 0; i < 50; ++i) {
          const json request{{"t", t}, {"i", i}};
          const auto answer = rpc_call(dir / "s", request, Millis{30'000});
          if (answer && *answer == request) ++right;
        }
      });
  }
  EXPECT_EQ(right, 16 * 50);
}

TEST(Rpc, StoppingWaitsForTheHandlerAndSendsItsAnswer) {
  TempDir dir;
  std::latch arrived(1), release(1);
  auto server = RpcServer::listen(dir / "s", [&](const json& r) -> Result<json> {
    arrived.count_down();
    release.wait();
    return r;
  });
  Raw idle(dir / "s");
  Raw busy(dir / "s");
  ASSERT_TRUE(busy.say("{\"last\":1}\n"));
  arrived.wait();
  std::jthread stopper([&] { server->reset(); });
  EXPECT_EQ(idle.hear_line(), "");
  release.count_down();
  EXPECT_EQ(parse_rpc_answer(busy.hear_line()).value(), (json{{"last", 1}}));
}

TEST(RpcLine, NestingIsBounded) {
  const auto nested = [](int depth) { return "{\"a\":" + std::string(depth, '[') + std::string(depth, ']') + "}"; };
  EXPECT_TRUE(parse_rpc_line(nested(kRpcDepthMax - 1)));
  EXPECT_EQ(parse_rpc_line(nested(kRpcDepthMax)).error().code, Code::invalid);
  EXPECT_EQ(parse_rpc_line(nested(1'000'000)).error().code, Code::invalid);
  EXPECT_TRUE(
      parse_rpc_line(R"({"text":"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\"[["})"));
  json deep = 1;
  for (int i = 0; i < 100; ++i) deep = json::array({deep});
  EXPECT_EQ(parse_rpc_answer(write_rpc_answer(deep)).error().code, Code::invalid);
}

TEST(RpcLine, ErrorsKeepTheirCodeAndText) {
  for (const Code code : {Code::timeout, Code::unreachable, Code::refused, Code::invalid, Code::conflict,
                          Code::cancelled, Code::corrupt, Code::io}) {
    const auto back = parse_rpc_answer(write_rpc_answer(fail(code, "why\nso")));
    ASSERT_FALSE(back);
    EXPECT_EQ(back.error(), (Error{code, "why\nso"}));
  }
  EXPECT_EQ(parse_rpc_answer(R"({"ok":false,"error":{"code":"odd","what":"x"}})").error().code, Code::invalid);
  EXPECT_EQ(parse_rpc_answer(R"({"ok":false,"error":{"code":"io"}})").error().code, Code::invalid);
}

}  // namespace
}  // namespace foreshadow::io
