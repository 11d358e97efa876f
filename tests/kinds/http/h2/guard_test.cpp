#include "kinds/http/h2/guard.hpp"

#include <gtest/gtest.h>

#include <string>

#include "kinds/http/h2/fields.hpp"

namespace foreshadow::kinds::http::h2 {
namespace {

using namespace std::chrono_literals;

constexpr std::uint8_t kData = 0, kHeaders = 1, kReset = 3, kSettings = 4, kPing = 6, kContinuation = 9;
constexpr std::uint8_t kEnd = 1, kEndHeaders = 4;

std::string frame(std::uint8_t type, std::uint8_t flags, std::uint32_t stream, std::size_t payload = 0) {
  std::string bytes;
  for (const auto part : {payload >> 16, payload >> 8, payload}) bytes += static_cast<char>(part);
  bytes += static_cast<char>(type);
  bytes += static_cast<char>(flags);
  for (const int shift : {24, 16, 8, 0}) bytes += static_cast<char>(stream >> shift);
  return bytes + std::string(payload, 'p');
}

struct Guard : testing::Test {
  FrameGuard::Time now{};
  Settings settings{.streams_max = 10, .resets_max = 6, .idle_frames_max = 100};
  FrameGuard guard{settings, 1000, now};
  bool passes(const std::string& bytes) { return guard.pass(bytes, now) == bytes.size(); }
  ErrorCode code() const { return guard.violation() ? guard.violation()->code : ErrorCode::no_error; }
};

TEST_F(Guard, LetsProperExchangesPassHoweverTheyAreCut) {
  std::string all = frame(kSettings, 0, 0, 12);
  for (std::uint32_t stream = 1; stream < 2000; stream += 2)
    all += frame(kHeaders, kEndHeaders, stream, 20) + frame(kData, 0, stream, 300) + frame(kData, kEnd, stream, 1);
  FrameGuard bytewise(settings, 1000, now);
  for (const char byte : all) ASSERT_EQ(bytewise.pass({&byte, 1}, now), 1u);
  EXPECT_TRUE(passes(all));
}

TEST_F(Guard, PassesWhatStandsBeforeAViolationAndNothingBehind) {
  const auto good = frame(kHeaders, kEndHeaders | kEnd, 1, 5);
  EXPECT_EQ(guard.pass(good + frame(kData, 0, 1, 5) + good, now), good.size());
  EXPECT_EQ(code(), ErrorCode::stream_closed);
  EXPECT_EQ(guard.pass(good, now), 0u);
}

TEST_F(Guard, TellsEndedFromResetFromNeverOpened) {
  EXPECT_TRUE(passes(frame(kHeaders, kEndHeaders, 5) + frame(kHeaders, kEndHeaders, 7)));
  guard.sent_reset(5, ErrorCode::cancel);
  EXPECT_TRUE(passes(frame(kData, 0, 5, 10) + frame(kHeaders, kEndHeaders | kEnd, 5))) << "on its way when we reset";
  FrameGuard other = guard;
  EXPECT_TRUE(other.pass(frame(kReset, 0, 7, 4), now) == 13 && other.pass(frame(kData, 0, 7, 1), now) == 0);
  EXPECT_EQ(other.violation()->code, ErrorCode::stream_closed);
  EXPECT_FALSE(passes(frame(kHeaders, kEndHeaders, 3)));
  EXPECT_EQ(code(), ErrorCode::protocol_error);
}

TEST_F(Guard, ResetsAreCountedAndForgottenWithTime) {
  std::uint32_t stream = 1;
  const auto reset = [&] {
    const auto bytes = frame(kHeaders, kEndHeaders, stream) + frame(kReset, 0, stream, 4);
    stream += 2;
    return passes(bytes);
  };
  for (int i = 0; i < 6; ++i) EXPECT_TRUE(reset());
  now += 6s;
  for (int i = 0; i < 6; ++i) EXPECT_TRUE(reset());
  EXPECT_FALSE(reset());
  EXPECT_EQ(code(), ErrorCode::enhance_your_calm);
}

TEST_F(Guard, OurOwnResetsCountWhereTheClientCausedThem) {
  for (int i = 0; i < 100; ++i) guard.sent_reset(1, ErrorCode::internal_error);
  EXPECT_EQ(code(), ErrorCode::no_error);
  for (int i = 0; i < 7; ++i) guard.sent_reset(1, ErrorCode::protocol_error);
  EXPECT_EQ(code(), ErrorCode::enhance_your_calm);
}

TEST_F(Guard, IdleFramesAreEarnedByWork) {
  std::string chatty;
  for (std::uint32_t stream = 1; stream < 400; stream += 2) {
    chatty += frame(kHeaders, kEndHeaders | kEnd, stream, 5);
    for (int i = 0; i < 8; ++i) chatty += frame(kPing, 0, 0, 8);
  }
  EXPECT_TRUE(passes(chatty));
  for (int i = 0; i < 92; ++i) EXPECT_TRUE(passes(frame(kPing, 0, 0, 8)));
  EXPECT_FALSE(passes(frame(kPing, 0, 0, 8)));
  EXPECT_EQ(code(), ErrorCode::enhance_your_calm);
}

TEST_F(Guard, HeaderBlocksAreBounded) {
  FrameGuard large = guard, many = guard, mixed = guard;
  EXPECT_TRUE(passes(frame(kHeaders, 0, 1, 500)));
  EXPECT_TRUE(guard.in_header_block());
  EXPECT_TRUE(passes(frame(kContinuation, kEndHeaders, 1, 500)));
  EXPECT_FALSE(guard.in_header_block());
  large.pass(frame(kHeaders, 0, 1, 500) + frame(kContinuation, kEndHeaders, 1, 501), now);
  EXPECT_EQ(large.violation()->code, ErrorCode::enhance_your_calm);
  many.pass(frame(kHeaders, 0, 1), now);
  for (int i = 0; i < 8; ++i) many.pass(frame(kContinuation, 0, 1), now);
  EXPECT_FALSE(many.violation());
  many.pass(frame(kContinuation, kEndHeaders, 1), now);
  EXPECT_EQ(many.violation()->code, ErrorCode::enhance_your_calm);
  mixed.pass(frame(kHeaders, 0, 1) + frame(kPing, 0, 0, 8), now);
  EXPECT_EQ(mixed.violation()->code, ErrorCode::protocol_error);
}

TEST_F(Guard, RemembersABoundedNumberOfStreams) {
  for (std::uint32_t stream = 1; stream < 20'000; stream += 2)
    ASSERT_TRUE(passes(frame(kHeaders, kEndHeaders | kEnd, stream)));
  FrameGuard unheeding = guard;
  EXPECT_FALSE(passes(frame(kData, 0, 19'999, 1))) << "the last are known";
  // After GOAWAY nothing that is opened is ever closed.
  std::uint32_t stream = 20'001;
  for (int i = 0; i < 10'000 && !unheeding.violation(); ++i, stream += 2)
    unheeding.pass(frame(kHeaders, kEndHeaders, stream), now);
  EXPECT_EQ(unheeding.violation()->code, ErrorCode::enhance_your_calm);
}

TEST(Fields, ARequestBecomesTheTextOfHttp1) {
  const Limits limits;
  FieldBlock block(limits);
  for (const auto& [name, value] :
       std::initializer_list<std::pair<std::string_view, std::string_view>>{{":method", "GET"},
                                                                            {":path", "/x?y"},
                                                                            {":scheme", "http"},
                                                                            {":authority", "shop"},
                                                                            {"cookie", "a=1"},
                                                                            {"host", "SHOP"},
                                                                            {"cookie", "b=2"},
                                                                            {"x-y", ""}})
    block.add(name, value);
  EXPECT_EQ(block.request_text().value(), "GET /x?y HTTP/1.1\r\nhost: shop\r\nx-y: \r\ncookie: a=1; b=2\r\n\r\n");
}

TEST(Fields, NothingCanBeSmuggledIntoTheText) {
  const Limits limits;
  for (const auto& [name, value] :
       std::initializer_list<std::pair<std::string_view, std::string_view>>{{"x", "a\r\nb: c"},
                                                                            {"x", "a\nb"},
                                                                            {"x\r\ny", "a"},
                                                                            {"x y", "a"},
                                                                            {"", "a"},
                                                                            {":path", "/ HTTP/1.1\r\nx: y"},
                                                                            {":authority", "h\r\nx: y"},
                                                                            {":method", "GET /a HTTP/1.1\r\nx:"},
                                                                            {":method", "G T"},
                                                                            {":path", "http://h/"},
                                                                            {":path", "*x"}}) {
    FieldBlock block(limits);
    block.add(":method", "GET");
    block.add(":path", "/");
    block.add(name, value);
    const auto text = block.request_text();
    EXPECT_TRUE(!text || !parse_request_head(*text, limits)) << name << ": " << value;
  }
}

}  // namespace
}  // namespace foreshadow::kinds::http::h2
