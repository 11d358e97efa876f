// Answers that the primary cuts, completed by the shadow, over the real gateway and two real services.
#include "kinds/http/h2/client.hpp"
#include "kinds/http/insurance_rig.hpp"

namespace foreshadow::kinds::http {
namespace {

using namespace testing;

// No part of it looks like another.
std::string content(std::size_t size) {
  std::string made;
  for (std::size_t i = 0; made.size() < size; ++i) made += std::to_string(i * 2654435761u) + ',';
  made.resize(size);
  return made;
}
std::string chunked(const std::string& body, const std::string& fields, std::size_t piece, bool end = true) {
  std::string made = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n" + fields + "\r\n";
  for (std::size_t at = 0; at < body.size(); at += piece) {
    const auto part = body.substr(at, piece);
    char size[32];
    std::snprintf(size, sizeof size, "%zx\r\n", part.size());
    made += size + part + "\r\n";
  }
  return made + (end ? "0\r\nX-End: yes\r\n\r\n" : "");
}
constexpr auto kTag = "ETag: \"v1\"\r\n";

struct Completing : InsuranceRig {
  std::string whole = content(300'000);
  // The primary's answer ends after so many bytes of its body.
  void cut_after(std::size_t bytes, const std::string& fields = kTag) {
    a.handle([this, bytes, fields](const Message&, Stream&) {
      const auto all = ok(whole, fields);
      return Backend::Reply{all.substr(0, all.size() - whole.size() + bytes), true};
    });
  }
  void shadow_says(const std::string& answer) {
    b.handle([answer](const Message&, Stream&) { return Backend::Reply{answer}; });
  }
  void expect_completed(std::uint64_t times = 1) {
    EXPECT_EQ(insurance(), (InsuranceStats{.completed = times}));
    EXPECT_EQ(segment("browse").current.failures.reset, times) << "it failed all the same";
  }
  void expect_cut() {
    auto client = connect();
    ASSERT_TRUE(client.send("GET /x HTTP/1.1\r\nHost: shop\r\n\r\n"));
    bool reset = false;
    const auto got = client.read_all(&reset);
    EXPECT_TRUE(reset);
    EXPECT_EQ(insurance().completed, 0u);
  }
};

TEST_F(Completing, ByLength) {
  start_insured();
  shadow_says(ok(whole, kTag));
  auto client = connect();
  const std::size_t cuts[] = {0, 1, 100'000, whole.size() - 1};
  for (const auto cut : cuts) {
    cut_after(cut);
    ASSERT_TRUE(client.send("GET /x HTTP/1.1\r\nHost: shop\r\nCookie: c=1\r\n\r\n"));
    const auto answer = read_message(client);
    ASSERT_TRUE(answer) << cut;
    EXPECT_EQ(answer->status(), 200);
    EXPECT_TRUE(answer->body == whole) << cut;
  }
  expect_completed(std::size(cuts));
  EXPECT_EQ(b.requests().back().field("cookie"), "c=1");
  EXPECT_EQ(asked(), std::size(cuts)) << "and no copies";
}

TEST_F(Completing, InChunksWithTrailers) {
  start_insured();
  a.handle([this](const Message&, Stream&) {
    return Backend::Reply{chunked(whole.substr(0, 123'456), kTag, 1000, false), true};
  });
  shadow_says(chunked(whole, kTag, 777));
  const auto answer = get("/x");
  ASSERT_TRUE(answer);
  EXPECT_TRUE(answer->body == whole);
  EXPECT_EQ(answer->field("trailer:X-End"), "X-End: yes");
  expect_completed();
}

TEST_F(Completing, OfChunksByLengthAndOfLengthByChunks) {
  start_insured();
  a.handle([this](const Message&, Stream&) {
    return Backend::Reply{chunked(whole.substr(0, 5000), kTag, 1000, false), true};
  });
  shadow_says(ok(whole, kTag));
  EXPECT_TRUE(get("/x")->body == whole);
  cut_after(200'000);
  shadow_says(chunked(whole, kTag, 777));
  EXPECT_TRUE(get("/x")->body == whole);
  expect_completed(2);
}

TEST_F(Completing, APrimaryThatStallsInTheMiddle) {
  option()["timeout"] = "100ms";
  start_insured();
  a.handle([this](const Message&, Stream& stream) {
    const auto all = ok(whole, kTag);
    stream.send(all.substr(0, all.size() - 1000));
    a.stall();
    return Backend::Reply{"", true};
  });
  shadow_says(ok(whole, kTag));
  EXPECT_TRUE(get("/x")->body == whole);
  EXPECT_EQ(segment("browse").current.failures.timeout, 1u);
  a.release();
}

TEST_F(Completing, InTheMiddleOfMegabytes) {
  whole = content(5'000'000);
  start_insured();
  cut_after(3'000'000);
  shadow_says(ok(whole, kTag));
  EXPECT_TRUE(get("/x")->body == whole);
  expect_completed();
}

TEST_F(Completing, OnlyWithTheSameStrongTag) {
  start_insured();
  cut_after(1000);
  shadow_says(ok(whole, "ETag: \"v2\"\r\n"));
  expect_cut();
  shadow_says(ok(whole, "ETag: W/\"v1\"\r\n"));
  expect_cut();
  shadow_says(ok(whole));
  expect_cut();
  EXPECT_EQ(insurance().failed, 3u);
  cut_after(1000, "ETag: W/\"v1\"\r\n");
  shadow_says(ok(whole, "ETag: W/\"v1\"\r\n"));
  expect_cut();
  EXPECT_EQ(insurance().failed, 3u) << "it was not even asked";
}

TEST_F(Completing, OnlyOfTheSameLengthAndCoding) {
  start_insured();
  cut_after(1000);
  shadow_says(ok(whole + "x", kTag));
  expect_cut();
  shadow_says(ok(whole, std::string(kTag) + "Content-Encoding: br\r\n"));
  expect_cut();
}

TEST_F(Completing, OnlyWithTheSameBytes) {
  start_insured();
  cut_after(1000);
  auto other = whole;
  other[500] ^= 1;
  shadow_says(ok(other, kTag));
  expect_cut();
}

TEST_F(Completing, AShadowThatIsCutTooLeavesItCut) {
  start_insured();
  cut_after(1000);
  // Behind what the client has, and before.
  for (const std::size_t bytes : {2000u, 500u}) {
    b.handle([this, bytes](const Message&, Stream&) {
      const auto all = ok(whole, kTag);
      return Backend::Reply{all.substr(0, all.size() - whole.size() + bytes), true};
    });
    auto client = connect();
    ASSERT_TRUE(client.send("GET /x HTTP/1.1\r\nHost: shop\r\n\r\n"));
    bool reset = false;
    client.read_all(&reset);
    EXPECT_TRUE(reset) << bytes;
  }
}

TEST_F(Completing, ChunksThatDoNotMakeTheLengthAreNotTheEnd) {
  start_insured();
  cut_after(1000);
  for (const auto& wrong : {whole.substr(0, 2000), whole + "more"}) {
    shadow_says(chunked(wrong, kTag, 777));
    auto client = connect();
    ASSERT_TRUE(client.send("GET /x HTTP/1.1\r\nHost: shop\r\n\r\n"));
    bool reset = false;
    const auto got = client.read_all(&reset);
    EXPECT_TRUE(reset);
    EXPECT_EQ(got.find("more"), std::string::npos) << "what follows would be the next answer";
  }
}

// Beyond what is compared from the beginning.
struct CompletingByRange : Completing {
  CompletingByRange() { option()["insurance_prefix_max"] = "1000"; }
  void shadow_gives_ranges(const std::string& fields = kTag) {
    b.handle([this, fields](const Message& m, Stream&) {
      const auto range = m.field("range");
      if (range.empty()) return Backend::Reply{ok("same " + m.target())};
      const auto from = std::stoul(range.substr(range.find('=') + 1));
      return Backend::Reply{"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes " + std::to_string(from) + "-" +
                            std::to_string(whole.size() - 1) + "/" + std::to_string(whole.size()) + "\r\n" + fields +
                            "Content-Length: " + std::to_string(whole.size() - from) + "\r\n\r\n" + whole.substr(from)};
    });
  }
};

TEST_F(CompletingByRange, AsksForTheRestOnly) {
  start_insured();
  cut_after(100'000);
  shadow_gives_ranges();
  EXPECT_TRUE(get("/x")->body == whole);
  const auto seen = b.requests().back();
  EXPECT_EQ(seen.field("range"), "bytes=100000-");
  EXPECT_EQ(seen.field("if-range"), "\"v1\"");
  expect_completed();
}

TEST_F(CompletingByRange, NotWithAnotherTagOrFromElsewhere) {
  start_insured();
  cut_after(100'000);
  shadow_gives_ranges("ETag: \"v2\"\r\n");
  expect_cut();
  shadow_says(ok(whole, kTag));
  expect_cut();
  shadow_says("HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-9/10\r\nContent-Length: 10\r\n" +
              std::string(kTag) + "\r\n0123456789");
  expect_cut();
}

TEST_F(CompletingByRange, NotForWhoAskedForARangeItself) {
  start_insured();
  cut_after(100'000);
  shadow_gives_ranges();
  auto client = connect();
  ASSERT_TRUE(client.send("GET /x HTTP/1.1\r\nHost: shop\r\nRange: bytes=5-\r\n\r\n"));
  bool reset = false;
  client.read_all(&reset);
  EXPECT_TRUE(reset);
  EXPECT_EQ(asked(), 0u);
}

TEST_F(Completing, OverHttp2Too) {
  start_insured();
  H2Client c(connect());
  for (const std::size_t cut : {0u, 100'000u, 299'999u}) {
    cut_after(cut);
    shadow_says(ok(whole, kTag));
    const auto answer = c.ask(testing::get("/x"));
    EXPECT_EQ(answer.status, 200);
    EXPECT_FALSE(answer.reset);
    EXPECT_TRUE(answer.body == whole) << cut;
  }
  expect_completed(3);
  a.handle([this](const Message&, Stream&) {
    return Backend::Reply{chunked(whole.substr(0, 123'456), kTag, 1000, false), true};
  });
  shadow_says(chunked(whole, kTag, 777));
  const auto answer = c.ask(testing::get("/x"));
  EXPECT_TRUE(answer.body == whole);
  EXPECT_EQ(answer.trailers.at("x-end"), "yes");
  shadow_says(ok(whole, "ETag: \"v2\"\r\n"));
  EXPECT_TRUE(c.ask(testing::get("/x")).reset);
}

}  // namespace
}  // namespace foreshadow::kinds::http
