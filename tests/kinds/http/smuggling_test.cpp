// Thousands of spellings of the two framing fields, each with a request hidden behind it. Tools that look for smuggling
// judge by how long an answer takes; here a witness in the service's place says what it was sent, so that nothing has
// to be guessed: it must be what the answers account for, and never the hidden request.
#include "kinds/http/rig.hpp"
#include "kinds/http/witness.hpp"

namespace foreshadow::kinds::http {
namespace {

using namespace testing;

const std::string kHidden = "GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n";
const std::string kAfter = "GET /after HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
const std::string kHead = "POST /x HTTP/1.1\r\nHost: h\r\n";
// Who goes by the length reads it all, who goes by chunks finds the hidden request behind them.
const std::string kBehindChunks = "0\r\n\r\n" + kHidden;
// Who goes by chunks reads it all, who goes by a length of 4 finds the hidden request behind it.
const std::string kBehindLength = "23\r\n" + kHidden + "\r\n0\r\n\r\n";

// A field line with the byte `c` in one place or another where some parser might overlook it.
std::vector<std::string> spellings(const std::string& name, const std::string& value, char c) {
  const auto hyphen = name.find('-');
  const auto half = value.size() / 2;
  const std::string byte(1, c);
  return {
      name + byte + ": " + value,
      name + ":" + byte + value,
      name + ": " + value + byte,
      byte + name + ": " + value,
      name.substr(0, hyphen) + byte + name.substr(hyphen + 1) + ": " + value,
      name + ": " + value.substr(0, half) + byte + value.substr(half),
      "X: y" + byte + name + ": " + value,
      "X: y\r" + byte + name + ": " + value,
      "X: y" + byte + "\n" + name + ": " + value,
  };
}

struct Smuggling : Rig {
  Witness witness{a};
  std::size_t taken = 0;
  std::size_t refused = 0;

  // Sends it and holds what the witness saw against the answers. `body`: of the request, if it is taken with one.
  // `follows`: what is hidden may be taken, as a request of its own.
  void judge(const std::string& request, const std::string& body, bool follows = false) {
    auto client = connect();
    ASSERT_TRUE(client.send(request + kAfter));
    std::string answered;
    for (;;) {
      const auto answer = read_message(client);
      if (!answer) break;
      if (answer->status() != 200) {
        ++refused;
        EXPECT_TRUE(answer->status() == 400 || answer->status() == 501) << answer->start << "\n" << request;
        EXPECT_EQ(answer->field("connection"), "close") << request;
        EXPECT_TRUE(client.ended()) << request;
        break;
      }
      ++taken;
      answered += answer->body;
      const auto seen = witness_request(answer->body);
      ASSERT_EQ(seen.state, Witnessed::State::whole) << request;
      EXPECT_EQ(seen.bytes, answer->body.size()) << request;
      EXPECT_TRUE(seen.start == "POST /x HTTP/1.1" || seen.start == "GET /after HTTP/1.1" ||
                  (follows && seen.start == "GET /smuggled HTTP/1.1"))
          << seen.start << "\n"
          << request;
      EXPECT_TRUE(seen.body.empty() || seen.body == body) << request;
    }
    EXPECT_EQ(witness.received(), answered) << request;
    for (const auto& fault : witness.faults()) ADD_FAILURE() << fault << "\n" << request;
    witness.forget();
  }
};

TEST_F(Smuggling, EveryByteInEveryPlaceOfTransferEncodingBesideALength) {
  start();
  const auto length = "Content-Length: " + std::to_string(kBehindChunks.size()) + "\r\n";
  for (int c = 0; c < 256; ++c)
    for (const auto& line : spellings("Transfer-Encoding", "chunked", static_cast<char>(c)))
      judge(kHead + length + line + "\r\n\r\n" + kBehindChunks, kBehindChunks);
  EXPECT_GT(taken, 100u);
  EXPECT_GT(refused, 100u);
}

TEST_F(Smuggling, EveryByteInEveryPlaceOfTransferEncodingAlone) {
  start();
  for (int c = 0; c < 256; ++c)
    for (const auto& line : spellings("Transfer-Encoding", "chunked", static_cast<char>(c)))
      judge(kHead + line + "\r\n\r\n0\r\n\r\n", "");
  EXPECT_GT(taken, 100u);
  EXPECT_GT(refused, 100u);
}

TEST_F(Smuggling, EveryByteInEveryPlaceOfContentLengthBesideChunks) {
  start();
  for (int c = 0; c < 256; ++c)
    for (const auto& line : spellings("Content-Length", "04", static_cast<char>(c)))
      judge(kHead + "Transfer-Encoding: chunked\r\n" + line + "\r\n\r\n" + kBehindLength, kHidden);
  EXPECT_GT(taken, 100u);
  EXPECT_GT(refused, 100u);
}

TEST_F(Smuggling, TwoFramingsInEveryOrder) {
  start();
  const auto whole = std::to_string(kBehindChunks.size());
  const std::vector<std::string> lines = {
      "Transfer-Encoding: chunked",
      "transfer-encoding:CHUNKED",
      "Transfer-Encoding: identity",
      "Transfer-Encoding: xchunked",
      "Transfer-Encoding: chunked, identity",
      "Transfer-Encoding: identity, chunked",
      "Transfer-Encoding: gzip, chunked",
      "Transfer-Encoding: chunked;q=1",
      "Transfer-Encoding: \"chunked\"",
      "Transfer-Encoding:",
      "Transfer-Encoding: ,",
      "Transfer-Encoding: chunked\r\n ",
      "Transfer-Encoding:\r\n chunked",
      "TE: chunked",
      "X-Transfer-Encoding: chunked",
      "Connection: Transfer-Encoding",
      "Connection: close, Transfer-Encoding",
      "Content-Encoding: chunked",
      "Content-Length: 0",
      "Content-Length: 5",
      "Content-Length: " + whole,
      "Content-Length: " + whole + ", " + whole,
      "Content-Length: +" + whole,
      "Content-Length: 0" + whole,
      "Content-Length: " + whole + ".0",
      "Content-Length:",
      "X-Content-Length: 5",
      "Connection: Content-Length",
      "Expect: 100-continue",
      "Upgrade: h2c",
  };
  const auto frames = [](const std::string& line) {
    return line.starts_with("Content-Length") || line.starts_with("Transfer-") || line.starts_with("transfer-");
  };
  for (const auto& first : lines)
    for (const auto& second : lines) {
      // With one framing, or none, there is nothing to disagree about: the length says where the body ends, the chunks
      // do, or there is none. With two, nothing may be taken at all.
      const bool twice = frames(first) && frames(second);
      const auto before = taken;
      const bool short_length = first == "Content-Length: 5" || second == "Content-Length: 5";
      judge(kHead + first + "\r\n" + second + "\r\n\r\n" + kBehindChunks,
            short_length ? kBehindChunks.substr(0, 5) : kBehindChunks, !twice);
      if (twice) EXPECT_EQ(taken, before) << first << "\n" << second;
    }
  EXPECT_GT(taken, 50u);
  EXPECT_GT(refused, 500u);
}

}  // namespace
}  // namespace foreshadow::kinds::http
