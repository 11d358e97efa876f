#include <gtest/gtest.h>

#include <random>

#include "kinds/http/hostile.hpp"
#include "kinds/http/session/date.hpp"
#include "kinds/http/wire/chunked.hpp"
#include "kinds/http/wire/framing.hpp"
#include "kinds/http/wire/rewrite.hpp"
#include "kinds/http/wire/text.hpp"
#include "kinds/http/wire/upgrade.hpp"

namespace foreshadow::kinds::http {
namespace {

// One request taken off a stream as a session would take it, in pieces that end where `cuts` says.
struct Taken {
  int status = 0;  // 0: taken; -1: more is needed
  std::string method, target, host, body, trailers;
  std::size_t rest = 0;  // bytes behind it
  friend bool operator==(const Taken&, const Taken&) = default;
};

Taken take(const std::string& stream, std::vector<std::size_t> cuts = {}) {
  Taken taken;
  const Limits limits;
  cuts.push_back(stream.size());
  HeadScanner scanner;
  bool in_body = false;
  RequestHead head;
  Framing framing;
  ChunkedDecoder chunks;
  std::size_t used = 0;
  for (const auto cut : cuts) {
    const auto here = std::string_view(stream).substr(0, cut);
    if (!in_body) {
      const auto found = scanner.scan(here, limits);
      if (found == HeadScanner::Found::more) continue;
      if (found == HeadScanner::Found::refused) return {.status = scanner.refusal().status};
      const auto parsed = parse_request_head(here.substr(scanner.begin(), scanner.end() - scanner.begin()), limits);
      if (!parsed) return {.status = parsed.error().status};
      head = *parsed;
      if (head.method == "CONNECT") return {.status = 501};
      const auto connection = read_connection(head.fields);
      if (const auto offer = offered_protocols(head, connection); !offer) return {.status = offer.error().status};
      if (connection.expects_other) return {.status = 417};
      const auto framed = request_framing(head);
      if (!framed) return {.status = framed.error().status};
      framing = *framed;
      taken.method = head.method;
      taken.target = head.target;
      taken.host = head.host;
      in_body = true;
      used = scanner.end();
    }
    if (framing.kind == BodyKind::length) {
      if (here.size() - used < framing.length) continue;
      taken.body = here.substr(used, framing.length);
      taken.rest = stream.size() - used - framing.length;
      return taken;
    }
    if (framing.kind == BodyKind::none) {
      taken.rest = stream.size() - used;
      return taken;
    }
    while (used < here.size()) {
      const auto step = chunks.step(here.substr(used));
      if (step.state == ChunkedDecoder::State::refused) return {.status = 400};
      used += step.consumed;
      taken.body += step.data;
      if (step.state == ChunkedDecoder::State::done) {
        taken.trailers = chunks.trailers();
        taken.rest = stream.size() - used;
        return taken;
      }
    }
  }
  return {.status = -1};
}

std::vector<std::string> proper_requests() {
  return {
      "GET / HTTP/1.1\r\nHost: h\r\n\r\n",
      "\r\nGET /a?b=c|d HTTP/1.1\r\nHost: h:80\r\nA:\r\nB: \t x y \t\r\nC: \xff\r\n\r\n",
      "GET http://H/ HTTP/1.1\r\nHost: h\r\n\r\n",
      "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n",
      "GET / HTTP/1.0\r\n\r\n",
      "GET / HTTP/1.1\r\nHost:\r\n\r\n",
      "POST /o HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhelloGET /next",
      "POST /o HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: Chunked\r\n\r\n5\r\nhello\r\n00A;x=\"y\" ; "
      "z\r\n0123456789\r\n0\r\n"
      "X-Sum: 1\r\nY: 2\r\n\r\nPOST /next",
      "PATCH /o HTTP/1.1\r\nHost: [::1]:8080\r\nTransfer-Encoding: chunked\r\n\r\n3 ;a\r\nabc\r\n0;last\r\n\r\n",
  };
}

TEST(Wire, TakesProperRequests) {
  const auto all = proper_requests();
  EXPECT_EQ(take(all[0]), (Taken{.method = "GET", .target = "/", .host = "h"}));
  EXPECT_EQ(take(all[1]).target, "/a?b=c|d");
  EXPECT_EQ(take(all[2]), (Taken{.method = "GET", .target = "/", .host = "h"}));
  EXPECT_EQ(take(all[3]).target, "*");
  EXPECT_EQ(take(all[4]).host, "");
  EXPECT_EQ(take(all[6]), (Taken{.method = "POST", .target = "/o", .host = "h", .body = "hello", .rest = 9}));
  EXPECT_EQ(take(all[7]), (Taken{.method = "POST",
                                 .target = "/o",
                                 .host = "h",
                                 .body = "hello0123456789",
                                 .trailers = "X-Sum: 1\r\nY: 2\r\n",
                                 .rest = 10}));
  EXPECT_EQ(take(all[8]).body, "abc");
}

TEST(Wire, RefusesTheHostileTable) {
  for (const auto& hostile : testing::hostile_requests())
    EXPECT_EQ(take(hostile.bytes).status, hostile.status) << hostile.name;
}

TEST(Wire, TheWayBytesArriveChangesNothing) {
  std::vector<std::string> streams = proper_requests();
  for (const auto& hostile : testing::hostile_requests()) streams.push_back(hostile.bytes);
  for (const auto& stream : streams) {
    const auto whole = take(stream);
    // Large ones at every seventh byte: every residue of the interesting places is still hit.
    for (std::size_t cut = 1; cut < stream.size(); cut += stream.size() > 2000 ? 7 : 1)
      ASSERT_EQ(take(stream, {cut}), whole) << stream.substr(0, 200) << " cut at " << cut;
    std::vector<std::size_t> every;
    for (std::size_t cut = 1; cut < stream.size(); ++cut) every.push_back(cut);
    ASSERT_EQ(take(stream, every), whole) << stream.substr(0, 200) << " byte by byte";
  }
}

TEST(Wire, EveryTruncationAsksForMore) {
  for (const auto& stream : proper_requests()) {
    const auto length = stream.size() - take(stream).rest;
    for (std::size_t n = 0; n < length; ++n) EXPECT_EQ(take(stream.substr(0, n)).status, -1) << n << " of " << stream;
    EXPECT_EQ(take(stream.substr(0, length)).status, 0) << stream;
  }
}

Parsed<ResponseHead> response(const std::string& text) {
  static std::string kept;
  kept = text;
  return parse_response_head(kept, {});
}

TEST(Wire, ReadsResponses) {
  const auto ok = response("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
  ASSERT_TRUE(ok);
  EXPECT_EQ(ok->status, 200);
  EXPECT_EQ(ok->reason, "OK");
  EXPECT_EQ(response_framing(*ok, "GET")->length, 5u);
  EXPECT_EQ(response_framing(*ok, "HEAD")->kind, BodyKind::none);
  EXPECT_EQ(response("HTTP/1.0 404\r\n\r\n")->status, 404);
  EXPECT_EQ(response_framing(*response("HTTP/1.1 200 OK\r\n\r\n"), "GET")->kind, BodyKind::until_close);
  EXPECT_EQ(response_framing(*response("HTTP/1.1 204 No\r\nContent-Length: 5\r\n\r\n"), "GET")->kind, BodyKind::none);
  EXPECT_EQ(response_framing(*response("HTTP/1.1 304 No\r\nContent-Length: 5\r\n\r\n"), "GET")->kind, BodyKind::none);
  EXPECT_EQ(response_framing(*response("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"), "GET")->kind,
            BodyKind::chunked);
}

TEST(Wire, RefusesResponsesThatCouldBeReadInTwoWays) {
  for (const auto* text :
       {"HTTP/1.1 20 OK\r\n\r\n", "HTTP/1.1 2000 OK\r\n\r\n", "HTTP/1.1  200 OK\r\n\r\n", "HTTP/2.0 200 OK\r\n\r\n",
        "HTTP/1.1 099 OK\r\n\r\n", "HTTP/1.1 600 OK\r\n\r\n", "ICY 200 OK\r\n\r\n", "HTTP/1.1 200 O\rK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", "HTTP/1.1 200 OK\r\nA : b\r\n\r\n"})
    EXPECT_FALSE(response(text)) << text;
  for (const auto* fields :
       {"Content-Length: 5\r\nContent-Length: 6", "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Content-Length: x", "Transfer-Encoding: gzip", "Transfer-Encoding: xchunked",
        "Transfer-Encoding: chunked, chunked"}) {
    const auto head = response(std::string("HTTP/1.1 200 OK\r\n") + fields + "\r\n\r\n");
    ASSERT_TRUE(head) << fields;
    EXPECT_FALSE(response_framing(*head, "GET")) << fields;
  }
  EXPECT_FALSE(response_framing(*response("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"), "GET"));
}

std::string rewritten(const std::string& request, RequestRewrite rewrite = {}) {
  const auto head = parse_request_head(request, {});
  EXPECT_TRUE(head) << request;
  rewrite.framing = *request_framing(*head);
  rewrite.client_address = "10.0.0.9";
  rewrite.fallback_host = "upstream:1";
  std::string out;
  append_request(out, *head, read_connection(head->fields), rewrite);
  return out;
}

TEST(Rewrite, HopByHopFieldsEndHere) {
  const auto out = rewritten(
      "GET /x HTTP/1.1\r\nHost: h\r\nConnection: close, X-Secret, Content-Type\r\nX-Secret: 1\r\nContent-Type: a\r\n"
      "Keep-Alive: 5\r\nProxy-Connection: x\r\nTE: trailers\r\nUpgrade: h2c\r\nForeshadow-Mirror: 1\r\n"
      "X-Forwarded-For: 1.2.3.4\r\nX-Forwarded-Proto: https\r\nVia: 1.0 other\r\nAccept: */*\r\n\r\n");
  EXPECT_EQ(out,
            "GET /x HTTP/1.1\r\nHost: h\r\nContent-Type: a\r\nAccept: */*\r\nX-Forwarded-For: 1.2.3.4, 10.0.0.9\r\n"
            "X-Forwarded-Proto: http\r\nVia: 1.0 other, 1.1 foreshadow\r\n\r\n");
}

TEST(Rewrite, NobodyCanForgeTheMirrorMark) {
  for (const auto* mark : {"Foreshadow-Mirror: 1", "foreshadow-mirror: 1", "FORESHADOW-MIRROR:1"})
    EXPECT_EQ(rewritten(std::string("GET / HTTP/1.1\r\nHost: h\r\n") + mark + "\r\n\r\n").find("irror"),
              std::string::npos);
  const auto marked = rewritten("GET / HTTP/1.1\r\nHost: h\r\nForeshadow-Mirror: 0\r\n\r\n", {.mirror = true});
  EXPECT_NE(marked.find("Foreshadow-Mirror: 1\r\n"), std::string::npos);
  EXPECT_EQ(marked.find("Foreshadow-Mirror: 0"), std::string::npos);
}

TEST(Rewrite, ACopyHasAKeyOfItsOwn) {
  const auto request =
      "POST / HTTP/1.1\r\nHost: h\r\nIdempotency-Key: \"k1\"\r\nX-Order: k2\r\nContent-Length: 0\r\n\r\n";
  const auto copy = rewritten(request, {.mirror = true, .key_name = "x-order"});
  EXPECT_NE(copy.find("Idempotency-Key: \"foreshadow-mirror-k1\"\r\n"), std::string::npos) << copy;
  EXPECT_NE(copy.find("X-Order: foreshadow-mirror-k2\r\n"), std::string::npos) << copy;
  EXPECT_NE(rewritten(request, {.mirror = true}).find("X-Order: k2\r\n"), std::string::npos);
  EXPECT_EQ(rewritten(request, {.key_name = "x-order"}).find("foreshadow-mirror"), std::string::npos);
}

TEST(Rewrite, TrustIsAskedFor) {
  const auto request = "GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-Proto: https\r\n\r\n";
  EXPECT_NE(rewritten(request).find("X-Forwarded-Proto: http\r\n"), std::string::npos);
  EXPECT_NE(rewritten(request, {.trust_forwarded = true}).find("X-Forwarded-Proto: https\r\n"), std::string::npos);
}

TEST(Rewrite, OldRequestsGetAHost) {
  EXPECT_NE(rewritten("GET / HTTP/1.0\r\n\r\n").find("Host: upstream:1\r\n"), std::string::npos);
}

// Whatever is taken and rewritten must be taken again, and mean the same.
TEST(Rewrite, WhatIsSentOnIsReadTheSame) {
  for (const auto& stream : proper_requests()) {
    const auto first = take(stream);
    HeadScanner scanner;
    ASSERT_EQ(scanner.scan(stream, {}), HeadScanner::Found::complete);
    auto out = rewritten(stream.substr(scanner.begin(), scanner.end() - scanner.begin()));
    const auto again = take(out + stream.substr(scanner.end()));
    EXPECT_EQ(again.method, first.method);
    EXPECT_EQ(again.target, first.target);
    EXPECT_EQ(again.body, first.body);
    EXPECT_EQ(again.rest, first.rest);
  }
}

TEST(Rewrite, Responses) {
  const auto head = response(
      "HTTP/1.1 200 Fine\r\nKeep-Alive: timeout=5\r\nConnection: X-A\r\nX-A: 1\r\nServer: s\r\n"
      "Content-Length: 3\r\n\r\n");
  std::string out;
  append_response(out, *head, read_connection(head->fields), {.framing = {BodyKind::chunked}});
  EXPECT_EQ(out, "HTTP/1.1 200 Fine\r\nServer: s\r\nVia: 1.1 foreshadow\r\nTransfer-Encoding: chunked\r\n\r\n");
  out.clear();
  append_response(out, *head, read_connection(head->fields), {.keep_length = true, .close = true});
  EXPECT_NE(out.find("Content-Length: 3\r\nConnection: close\r\n\r\n"), std::string::npos);
}

TEST(Connection, Persistence) {
  const auto of = [](const std::string& value, int minor) {
    const std::vector<Field> fields = {{"connection", value}};
    return persistent(read_connection(fields), minor);
  };
  EXPECT_TRUE(of("", 1));
  EXPECT_FALSE(of("Close", 1));
  EXPECT_FALSE(of("keep-alive, close", 1));
  EXPECT_FALSE(of("", 0));
  EXPECT_TRUE(of("Keep-Alive", 0));
}

TEST(Date, AsTheRfcWritesIt) {
  EXPECT_EQ(imf_fixdate(784'111'777), "Sun, 06 Nov 1994 08:49:37 GMT");
  EXPECT_EQ(imf_fixdate(951'782'400), "Tue, 29 Feb 2000 00:00:00 GMT");
}

// Seeded, so that a failure can be run again: mutations of proper requests, in random pieces, must never be read two
// ways.
TEST(Wire, MutationsAreReadTheSameInAnyPieces) {
  std::mt19937 random(7);
  const auto seeds = proper_requests();
  constexpr std::string_view kSpice("\r\n\t :;,0123456789abcdefx\0", 24);
  for (int i = 0; i < 20'000; ++i) {
    auto stream = seeds[random() % seeds.size()];
    for (unsigned n = random() % 4; n > 0; --n) {
      const auto at = random() % stream.size();
      const char c = kSpice[random() % kSpice.size()];
      if (random() % 3 == 0)
        stream.erase(at, 1);
      else if (random() % 2 == 0)
        stream.insert(at, 1, c);
      else
        stream[at] = c;
      if (stream.empty()) stream = "x";
    }
    std::vector<std::size_t> cuts;
    for (std::size_t cut = 1 + random() % 9; cut < stream.size(); cut += 1 + random() % 9) cuts.push_back(cut);
    ASSERT_EQ(take(stream, cuts), take(stream)) << "mutation " << i << ": " << stream;
  }
}

}  // namespace
}  // namespace foreshadow::kinds::http
