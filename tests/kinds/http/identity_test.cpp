#include "kinds/http/wire/identity.hpp"

#include <algorithm>
#include <set>

#include "kinds/http/h2/client.hpp"
#include "kinds/http/rig.hpp"
#include "kinds/http/witness.hpp"

namespace foreshadow::kinds::http {
namespace {

using namespace testing;

const std::string kTrace = "0af7651916cd43dd8448eb211c80319c";
const std::string kParent = "00-" + kTrace + "-b7ad6b7169203331-01";

TEST(TraceParent, TakesVersionZeroToTheLetter) {
  const auto parent = parse_traceparent(kParent);
  ASSERT_TRUE(parent);
  EXPECT_EQ(parent->trace_id, kTrace);
  EXPECT_EQ(parent->parent_id, "b7ad6b7169203331");
  EXPECT_EQ(parent->flags, 1u);
  for (const std::string bad : {"", "00", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
                                "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-",
                                "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
                                "00-00000000000000000000000000000000-b7ad6b7169203331-01",
                                "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
                                "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0g",
                                "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-",
                                "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
                                "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1",
                                "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
                                "0g-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
                                "00_0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
                                "00-0af7651916cd43dd8448eb211c80319_-b7ad6b7169203331-01",
                                "00-0af7651916cd43dd8448eb211c80319c-B7ad6b7169203331-01"})
    EXPECT_FALSE(parse_traceparent(bad)) << bad;
}

TEST(TraceParent, TakesOfLaterVersionsWhatItKnows) {
  EXPECT_TRUE(parse_traceparent("cc" + kParent.substr(2)));
  const auto text = "cc" + kParent.substr(2) + "-what-the-future-brings";
  const auto longer = parse_traceparent(text);
  ASSERT_TRUE(longer);
  EXPECT_EQ(longer->trace_id, kTrace);
  EXPECT_FALSE(parse_traceparent("cc" + kParent.substr(2) + ".what-the-future-brings"));
}

TEST(RequestId, IsVisibleAsciiOfBoundedLength) {
  EXPECT_TRUE(is_request_id("d2b7c5e0-6a5e-4d3e-9c39-6f0b5c0a7d11"));
  EXPECT_TRUE(is_request_id(std::string(128, '!')));
  EXPECT_FALSE(is_request_id(std::string(129, '!')));
  EXPECT_FALSE(is_request_id(""));
  EXPECT_FALSE(is_request_id("two words"));
  EXPECT_FALSE(is_request_id("caf\xc3\xa9"));
}

struct IdentityTest : Rig {
  std::unique_ptr<Witness> witness;
  void option(const char* name, const char* value) { listener().options[name] = value; }
  // What the service gets of a request with these field lines.
  std::string forwarded_of(const std::string& fields, const std::string& target = "/x") {
    if (!witness) witness = std::make_unique<Witness>(a);
    witness->forget();
    ask("GET " + target + " HTTP/1.1\r\nHost: h\r\n" + fields + "Connection: close\r\n\r\n");
    EXPECT_TRUE(witness->faults().empty());
    return witness->received();
  }
  // The value of a field in raw bytes; empty if it is not there.
  static std::string value_in(const std::string& bytes, const std::string& name) {
    const auto at = bytes.find("\r\n" + name + ": ");
    if (at == std::string::npos) return "";
    const auto begin = at + name.size() + 4;
    return bytes.substr(begin, bytes.find("\r\n", begin) - begin);
  }
  static bool is_hex(const std::string& text, std::size_t digits) {
    return text.size() == digits && text.find_first_not_of("0123456789abcdef") == std::string::npos;
  }
};

TEST_F(IdentityTest, PassesWhatIsWellFormedByteForByteUnlessToldOtherwise) {
  start();
  const std::string fields =
      "X-Request-Id: abc-123\r\nTraceparent: " + kParent + "\r\nTraceState: a=1\r\ntracestate: b=2\r\n";
  EXPECT_EQ(forwarded_of(fields), forwarded("GET /x", fields));
}

TEST_F(IdentityTest, DropsWhatIsNot) {
  start();
  EXPECT_EQ(forwarded_of("X-Request-Id: two words\r\nX-Mine: 1\r\n"), forwarded("GET /x", "X-Mine: 1\r\n"));
  EXPECT_EQ(forwarded_of("X-Request-Id: a\r\nX-Request-Id: b\r\n"), forwarded("GET /x"));
  EXPECT_EQ(forwarded_of("traceparent: 00-junk\r\ntracestate: a=1\r\n"), forwarded("GET /x"));
  EXPECT_EQ(forwarded_of("traceparent: " + kParent + "\r\ntraceparent: " + kParent + "\r\n"), forwarded("GET /x"));
  EXPECT_EQ(forwarded_of("tracestate: a=1\r\n"), forwarded("GET /x"));
}

TEST_F(IdentityTest, LeavesThemAloneWhenOff) {
  option("request_id", "off");
  option("trace", "off");
  start();
  const std::string fields = "X-Request-Id: two words\r\ntraceparent: 00-junk\r\ntracestate: a=1\r\n";
  EXPECT_EQ(forwarded_of(fields), forwarded("GET /x", fields));
}

TEST_F(IdentityTest, MakesARequestIdWhereThereIsNone) {
  option("request_id", "make");
  start();
  std::set<std::string> made;
  for (const std::string given : {"", "", "X-Request-Id: two words\r\n", "X-Request-Id: a\r\nX-Request-Id: b\r\n",
                                  "X-Request-Id: a\r\nConnection: x-request-id\r\n"}) {
    const auto bytes = forwarded_of(given);
    const auto id = value_in(bytes, "X-Request-Id");
    EXPECT_TRUE(is_hex(id, 32)) << given << bytes;
    EXPECT_EQ(bytes, forwarded("GET /x", "X-Request-Id: " + id + "\r\n"));
    made.insert(id);
  }
  EXPECT_EQ(made.size(), 5u);
  EXPECT_EQ(forwarded_of("X-Request-Id: mine\r\n"), forwarded("GET /x", "X-Request-Id: mine\r\n"));
}

TEST_F(IdentityTest, StartsATraceWhereThereIsNone) {
  option("trace", "start");
  start();
  const auto bytes = forwarded_of("tracestate: a=1\r\n");
  const auto parent = value_in(bytes, "traceparent");
  const auto parsed = parse_traceparent(parent);
  ASSERT_TRUE(parsed) << bytes;
  EXPECT_EQ(parsed->flags, 1u);
  EXPECT_EQ(bytes, forwarded("GET /x", "traceparent: " + parent + "\r\n"));
  // One that goes on is not ours to cut.
  EXPECT_EQ(forwarded_of("traceparent: " + kParent + "\r\n"), forwarded("GET /x", "traceparent: " + kParent + "\r\n"));
}

// Where our part can be looked up, we are a span of the trace.
TEST_F(IdentityTest, PutsItsOwnParentIdWhereItIsToldInALog) {
  option("access_log", (dir / "access.log").c_str());
  start();
  const auto bytes = forwarded_of("traceparent: cc-" + kTrace + "-b7ad6b7169203331-ff-more\r\ntracestate: a=1\r\n");
  const auto parent = value_in(bytes, "traceparent");
  EXPECT_EQ(parent.substr(0, 36), "00-" + kTrace + "-");
  EXPECT_TRUE(is_hex(parent.substr(36, 16), 16)) << parent;
  EXPECT_NE(parent.substr(36, 16), "b7ad6b7169203331");
  // Of the flags those that mean something.
  EXPECT_EQ(parent.substr(52), "-03");
  EXPECT_EQ(bytes, forwarded("GET /x", "tracestate: a=1\r\ntraceparent: " + parent + "\r\n"));
}

TEST_F(IdentityTest, HoldsForHttp2AndForTheMirroredCopy) {
  option("request_id", "make");
  option("trace", "start");
  start();
  apply(split(0, 1));
  H2Client client(connect());
  EXPECT_EQ(client.ask(testing::get("/x")).status, 200);
  // Some copies go twice.
  ASSERT_TRUE(eventually([&] { return b.count() >= 1; }));
  const auto original = a.requests().at(0), copy = b.requests().at(0);
  EXPECT_TRUE(is_hex(original.field("x-request-id"), 32));
  EXPECT_TRUE(parse_traceparent(original.field("traceparent")));
  EXPECT_EQ(copy.field("x-request-id"), original.field("x-request-id"));
  EXPECT_EQ(copy.field("traceparent"), original.field("traceparent"));
  EXPECT_EQ(client.ask(testing::get("/x", {{"x-request-id", "mine"}, {"traceparent", kParent}})).status, 200);
  EXPECT_EQ(a.requests().at(1).field("x-request-id"), "mine");
  EXPECT_EQ(a.requests().at(1).field("traceparent"), kParent);
}

}  // namespace
}  // namespace foreshadow::kinds::http
