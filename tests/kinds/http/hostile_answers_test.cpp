// Answers that must not be passed on: whoever runs the service, or got into it, must not be able to make a client's
// next answer, or another client's. Each row is told as our error, and its connection is never used again.
#include "kinds/http/rig.hpp"

namespace foreshadow::kinds::http {
namespace {

using namespace testing;

struct HostileAnswers : Rig {
  // The first connection gives `bytes` to its first request; all others answer properly.
  void poison(const std::string& bytes) {
    a.handle([bytes](const Message& m, Stream&) {
      return Backend::Reply{m.target() == "/poisoned" ? bytes : ok(m.target())};
    });
  }
};

struct Answered {
  std::string name;
  std::string bytes;
};

std::vector<Answered> refused_answers() {
  const std::string line = "HTTP/1.1 200 OK\r\n", length = line + "Content-Length: 2\r\n";
  const auto field = [&](const std::string& text) { return line + text + "\r\nContent-Length: 2\r\n\r\nok"; };
  const auto coding = [&](const std::string& value) {
    return line + "Transfer-Encoding:" + value + "\r\n\r\n2\r\nok\r\n0\r\n\r\n";
  };
  const auto status_line = [](const std::string& text) { return text + "\r\nContent-Length: 2\r\n\r\nok"; };
  return {
      // Which end it has.
      {"length and coding", length + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + ok("poison")},
      {"coding and length", line + "Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n0\r\n\r\n"},
      {"two lengths that differ", length + "Content-Length: 3\r\n\r\nok!"},
      {"two lengths that agree", length + "Content-Length: 2\r\n\r\nok"},
      {"list of lengths", line + "Content-Length: 2, 2\r\n\r\nok"},
      {"signed length", line + "Content-Length: +2\r\n\r\nok"},
      {"negative length", line + "Content-Length: -2\r\n\r\nok"},
      {"hexadecimal length", line + "Content-Length: 0x2\r\n\r\nok"},
      {"overflowing length", line + "Content-Length: 18446744073709551618\r\n\r\nok"},
      {"empty length", line + "Content-Length:\r\n\r\nok"},
      {"length with an underscore", length + "Content_Length: 0\r\n\r\nok"},
      {"unknown coding", coding(" xchunked")},
      {"identity", coding(" identity")},
      {"chunked, then identity", coding(" chunked, identity")},
      {"chunked twice", coding(" chunked, chunked")},
      {"gzip, then chunked", coding(" gzip, chunked")},
      {"coding behind a tab", coding("\tchunked")},
      {"coding in quotes", coding(" \"chunked\"")},
      {"two codings", line + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
      {"coding in HTTP/1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"},
      {"204 with two framings", "HTTP/1.1 204 No Content\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n"},
      // Lines.
      {"bare LF", "HTTP/1.1 200 OK\nContent-Length: 2\n\nok"},
      {"bare LF in a field", line + "A: b\nSet-Cookie: c=d\r\nContent-Length: 2\r\n\r\nok"},
      {"bare CR in a field", field("A: b\rSet-Cookie: c=d")},
      {"folded field", field("A: b\r\n Set-Cookie: c=d")},
      {"space before a colon", field("A : b")},
      {"no colon", field("nonsense")},
      {"empty name", field(": b")},
      {"NUL in a field", field(std::string("A: b\0", 5))},
      {"control character in a name", field("A\x01: b")},
      {"empty line first", "\r\n" + ok("ok")},
      {"too large", field("A: " + std::string(40'000, 'a'))},
      // Status.
      {"another version", status_line("HTTP/2.0 200 OK")},
      {"another protocol", status_line("ICY 200 OK")},
      {"no version", status_line("200 OK")},
      {"version with a space", status_line("HTTP/ 1.1 200 OK")},
      {"status of two digits", status_line("HTTP/1.1 20 OK")},
      {"status of four digits", status_line("HTTP/1.1 2000 OK")},
      {"status of letters", status_line("HTTP/1.1 2xx OK")},
      {"status below 100", status_line("HTTP/1.1 099 OK")},
      {"status above 599", status_line("HTTP/1.1 600 OK")},
      {"negative status", status_line("HTTP/1.1 -20 OK")},
      {"two spaces before the status", status_line("HTTP/1.1  200 OK")},
      {"tab before the status", status_line("HTTP/1.1\t200 OK")},
      {"control character in the reason", status_line("HTTP/1.1 200 O\x01K")},
      {"CR in the reason", status_line("HTTP/1.1 200 O\rK")},
      {"a request", "GET / HTTP/1.1\r\nHost: h\r\n\r\n"},
      {"a switch that nobody asked for", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"},
      {"interim answers without an end",
       [] {
         std::string all;
         for (int i = 0; i < 100; ++i) all += "HTTP/1.1 103 Early Hints\r\n\r\n";
         return all + ok("ok");
       }()},
  };
}

TEST_F(HostileAnswers, AreOurErrorAndEndTheirConnection) {
  start();
  std::size_t connections = 0;
  for (const auto& row : refused_answers()) {
    poison(row.bytes);
    auto client = connect();
    ASSERT_TRUE(client.send("GET /poisoned HTTP/1.1\r\nHost: h\r\n\r\nGET /next HTTP/1.1\r\nHost: h\r\n\r\n"));
    auto answer = read_message(client);
    while (answer && answer->status() < 200) answer = read_message(client);
    ASSERT_TRUE(answer) << row.name;
    EXPECT_EQ(answer->status(), 502) << row.name;
    const auto next = read_message(client);
    ASSERT_TRUE(next) << row.name << ": the client's connection goes on";
    EXPECT_EQ(next->status(), 200) << row.name;
    EXPECT_EQ(next->body, "/next") << row.name;
    ++connections;
  }
  // The one that was poisoned was closed each time, and the next one opened.
  EXPECT_GE(a.connections(), connections);
  EXPECT_TRUE(eventually([&] { return a.open() <= 1; }));
}

// Its head was proper, so that the client has it already when the body turns out not to be.
TEST_F(HostileAnswers, WithBrokenChunksBreakTheClientsAnswerToo) {
  start();
  const std::string head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n";
  for (const std::string fault :
       {"x\r\n", "-1\r\n", "0x1\r\na\r\n0\r\n\r\n", "1\na\r\n0\r\n\r\n", "1\r\nab\r\n0\r\n\r\n",
        "fffffffffffffffff\r\n", "1;a\rb\r\na\r\n0\r\n\r\n", "1;a=\"\r\na\r\n0\r\n\r\n",
        "0\r\nContent-Length: 5\r\n\r\n", "0\r\nSet-Cookie: a=b\r\n\r\n", "0\r\nA : b\r\n\r\n", "0\n\n",
        "0\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "\r\n"}) {
    poison(head + fault + ok("poison"));
    auto client = connect();
    ASSERT_TRUE(client.send("GET /poisoned HTTP/1.1\r\nHost: h\r\n\r\nGET /next HTTP/1.1\r\nHost: h\r\n\r\n"));
    bool reset = false;
    const auto got = client.read_all(&reset);
    EXPECT_TRUE(reset) << fault << ": an end would look like the whole";
    EXPECT_EQ(got.find("0\r\n\r\n"), std::string::npos) << fault;
    EXPECT_EQ(got.find("poison"), std::string::npos) << fault;
    EXPECT_EQ(got.find("/next"), std::string::npos) << fault;
  }
}

// Bytes behind an answer are nobody's: whatever follows is asked for anew.
TEST_F(HostileAnswers, BytesBehindAnAnswerAreNobodys) {
  start();
  for (const auto& proper :
       {ok("ok"), std::string("HTTP/1.1 204 No Content\r\n\r\n"), std::string("HTTP/1.1 304 Not Modified\r\n\r\n"),
        std::string("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
        std::string("HTTP/1.1 204 No Content\r\nContent-Length: 6\r\n\r\n"),
        std::string("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n")}) {
    poison(proper + ok("poison"));
    auto client = connect();
    ASSERT_TRUE(client.send("GET /poisoned HTTP/1.1\r\nHost: h\r\n\r\nGET /next HTTP/1.1\r\nHost: h\r\n\r\n"));
    const auto first = read_message(client);
    ASSERT_TRUE(first) << proper;
    EXPECT_LT(first->status(), 400) << proper;
    const auto next = read_message(client);
    ASSERT_TRUE(next) << proper;
    EXPECT_EQ(next->body, "/next") << proper;
    EXPECT_EQ(get("/other")->body, "/other") << proper;
  }
}

}  // namespace
}  // namespace foreshadow::kinds::http
