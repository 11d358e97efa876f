#include "kinds/http/session/ledger.hpp"

#include <gtest/gtest.h>

namespace foreshadow::kinds::http {
namespace {

constexpr Claim kWrite{.whole = true};
constexpr Claim kKeyed{.keyed = true, .whole = true};
constexpr Claim kRead{.safe = true, .whole = true};
constexpr Claim kStreamed{.keyed = true};
constexpr Claim kOffer{.safe = true, .whole = true, .upgrade = true};

struct Case {
  const char* name;
  Claim claim;
  Tried tried;
  Retry expected;
};

Tried tried(End end, std::size_t sent, bool reused = false, bool moved = false, int again = 0) {
  return {.attempt = {end, sent}, .reused = reused, .moved = moved, .again = again};
}
Tried refused(bool resent = false, bool moved = false) {
  return {.attempt = {End::gone, 7, true}, .moved = moved, .resent = resent};
}
// Over a connection that had been used, when more of the body than is kept was on its way.
Tried refused_midway(bool moved = false) {
  return {.attempt = {.end = End::gone, .refused = true, .spent = true}, .reused = true, .moved = moved};
}
constexpr Tried unreachable(bool moved = false, int again = 0) {
  return {.connected = false, .moved = moved, .again = again};
}

TEST(Ledger, Table) {
  const auto no = Retry::no, at_once = Retry::at_once, gate = Retry::through_gate;
  const Case cases[] = {
      // An idle connection that its instance closed just then.
      {"a write, nothing sent", kWrite, tried(End::gone, 0, true), at_once},
      {"a write, a byte sent", kWrite, tried(End::gone, 1, true), no},
      {"a streamed write, nothing sent", kStreamed, tried(End::gone, 0, true), at_once},
      {"a read, all sent", kRead, tried(End::gone, 100, true), at_once},
      {"an offer to switch, all sent", kOffer, tried(End::gone, 100, true), no},
      {"a read that had been through the gate twice", kRead, tried(End::gone, 100, true, false, 1), at_once},
      // A connection that was fresh.
      {"a write, nothing sent", kWrite, tried(End::gone, 0), no},
      {"a read, all sent", kRead, tried(End::gone, 100), no},
      {"a write, cut in its answer", kWrite, tried(End::cut, 100), no},
      // Over HTTP/2: REFUSED_STREAM, beyond a GOAWAY, or never written.
      {"a write, refused", kWrite, refused(), at_once},
      {"a write, refused twice", kWrite, refused(true), no},
      {"a write, refused twice, and the side moves", kWrite, refused(true, true), gate},
      {"a streamed write, refused", kStreamed, refused(), no},
      {"a streamed write, refused, and the side moves", kStreamed, refused(false, true), gate},
      {"a streamed write, refused midway", kStreamed, refused_midway(), no},
      {"a streamed write, refused midway, and the side moves", kStreamed, refused_midway(true), no},
      // Nobody there.
      {"unreachable", kWrite, unreachable(), no},
      {"unreachable, keyed", kKeyed, unreachable(), no},
      {"unreachable, but the side moves", kWrite, unreachable(true), gate},
      {"unreachable, but the side moves, streamed", kStreamed, unreachable(true), gate},
      {"unreachable, and the gate lets it wait", kWrite, {.connected = false, .may_wait = true, .again = 9}, gate},
      {"taken by one that is dying, nothing sent", kWrite, {.attempt = {End::gone, 0}, .may_wait = true}, gate},
      {"taken and ended time and again", kWrite, {.attempt = {End::gone, 0}, .may_wait = true, .again = 3}, no},
      {"sent, whatever the gate lets wait", kWrite, {.attempt = {End::gone, 7}, .may_wait = true}, no},
      {"a read, sent, and the gate lets it wait", kRead, {.attempt = {End::gone, 7}, .may_wait = true}, gate},
      {"unreachable again", kWrite, unreachable(true, 2), gate},
      {"unreachable time and again", kWrite, unreachable(true, 3), no},
      // The side moves meanwhile.
      {"nothing sent", kWrite, tried(End::gone, 0, false, true), gate},
      {"a write, sent", kWrite, tried(End::gone, 100, false, true), no},
      {"a read, sent", kRead, tried(End::gone, 100, false, true), gate},
      {"a read, cut in its answer's head", kRead, tried(End::cut, 100, false, true), gate},
      {"a read, garbage", kRead, tried(End::bad, 100, false, true), no},
      {"a read, too late", kRead, tried(End::timeout, 100, false, true), no},
      {"a read, twice", kRead, tried(End::gone, 100, false, true, 2), gate},
      {"a read, time and again", kRead, tried(End::gone, 100, false, true, 3), no},
      {"an offer to switch", kOffer, tried(End::gone, 100, false, true), no},
      // Keys.
      {"keyed, no byte of an answer", kKeyed, tried(End::gone, 100), gate},
      {"keyed, over an idle connection", kKeyed, tried(End::gone, 100, true), gate},
      {"keyed, a second time", kKeyed, tried(End::gone, 100, false, false, 1), no},
      {"keyed, cut in its answer", kKeyed, tried(End::cut, 100), no},
      {"keyed, too late", kKeyed, tried(End::timeout, 100), no},
      {"keyed, garbage", kKeyed, tried(End::bad, 100), no},
      {"keyed, but streamed", kStreamed, tried(End::gone, 100), no},
      // What is the client's doing.
      {"the client went", kKeyed, tried(End::client_gone, 100, true, true), no},
      {"its body is malformed", kRead, tried(End::client_bad, 100, true, true), no},
      {"its body is too large", kRead, tried(End::too_large, 100, true, true), no},
  };
  for (const auto& c : cases) EXPECT_EQ(may_retry(c.claim, c.tried), c.expected) << c.name;
}

TEST(Ledger, NoWriteIsEverRepeatedThatMayHaveBeenDoneWithoutAKey) {
  for (const auto end :
       {End::gone, End::cut, End::bad, End::timeout, End::client_gone, End::client_bad, End::too_large})
    for (int bits = 0; bits < 32; ++bits) {
      const Claim claim{.whole = (bits & 1) != 0, .upgrade = (bits & 2) != 0};
      const auto one = tried(end, 1, (bits & 4) != 0, (bits & 8) != 0, (bits & 16) >> 4);
      EXPECT_EQ(may_retry(claim, one), Retry::no) << static_cast<int>(end) << ' ' << bits;
      EXPECT_TRUE(perhaps_done(claim, one));
    }
}

TEST(Ledger, NoneGoesThroughTheGateForEver) {
  for (const auto& claim : {kWrite, kKeyed, kRead, kStreamed, kOffer})
    for (const auto end : {End::gone, End::cut, End::bad, End::timeout})
      for (int bits = 0; bits < 8; ++bits) {
        auto one = tried(end, (bits & 1) != 0 ? 7 : 0, (bits & 2) != 0, true, 3);
        one.connected = (bits & 4) == 0;
        EXPECT_NE(may_retry(claim, one), Retry::through_gate);
      }
}

TEST(Ledger, WhatMayHaveBeenDoneIsNeverDenied) {
  EXPECT_TRUE(perhaps_done(kKeyed, tried(End::gone, 1)));
  EXPECT_FALSE(perhaps_done(kKeyed, tried(End::gone, 0)));
  EXPECT_FALSE(perhaps_done(kWrite, unreachable()));
  EXPECT_FALSE(perhaps_done(kWrite, refused()));
  EXPECT_FALSE(perhaps_done(kRead, tried(End::gone, 1)));

  const auto nothing = words_for_no_connection({Code::unreachable, ""});
  EXPECT_EQ(nothing.status, 503);
  EXPECT_EQ(honest(nothing, false).status, 503);
  EXPECT_TRUE(honest(nothing, false).retry_soon);
  const auto doubtful = honest(nothing, true);
  EXPECT_EQ(doubtful.status, 502);
  EXPECT_FALSE(doubtful.retry_soon);
  EXPECT_NE(doubtful.text.find("not known"), std::string_view::npos);
  const auto late = words_for({End::timeout, 10}, false);
  EXPECT_EQ(honest(late, true).status, 504);
  EXPECT_NE(honest(late, true).text.find("not known"), std::string_view::npos);
}

Request request_of(const std::string& fields, const std::string& method = "POST") {
  Request request;
  request.bytes = method + " / HTTP/1.1\r\nHost: h\r\n" + fields + "\r\n";
  request.head = *parse_request_head(request.bytes, {});
  return request;
}

TEST(Ledger, AKeyCountsOnlyWhereItIsDeclaredAndOne) {
  const auto keyed = [](const std::string& fields, const char* name, const char* method = "POST") {
    const auto request = request_of(fields, method);
    return claim_of(request, name).keyed;
  };
  EXPECT_TRUE(keyed("Idempotency-Key: a\r\n", "idempotency-key"));
  EXPECT_TRUE(keyed("IDEMPOTENCY-key: a\r\n", "idempotency-key"));
  EXPECT_FALSE(keyed("Idempotency-Key: a\r\n", ""));
  EXPECT_FALSE(keyed("Idempotency-Key: a\r\n", "x-key"));
  EXPECT_FALSE(keyed("Idempotency-Key:\r\n", "idempotency-key"));
  EXPECT_FALSE(keyed("Idempotency-Key: a\r\nIdempotency-Key: b\r\n", "idempotency-key"));
  EXPECT_FALSE(keyed("Idempotency-Key: a\r\nIdempotency-Key:\r\n", "idempotency-key"));
  EXPECT_FALSE(keyed("Idempotency-Key: a\r\n", "idempotency-key", "GET")) << "it needs none";
}

}  // namespace
}  // namespace foreshadow::kinds::http
