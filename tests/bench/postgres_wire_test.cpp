#include <gtest/gtest.h>

#include <array>
#include <random>
#include <string>

#include "postgres/script.hpp"
#include "postgres/wire.hpp"

namespace foreshadow::bench::pg {
namespace {

using namespace std::string_literals;

std::string message(char type, const std::string& body) {
  std::string out(1, type);
  const auto n = static_cast<std::uint32_t>(body.size() + 4);
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(n >> shift);
  return out + body;
}

TEST(Wire, ASimpleQueryHasItsParametersWrittenIn) {
  const std::array<std::string, 2> values{"-17", "r1x9"};
  std::string out;
  add_statement(out, {"SELECT $1, $2;", values, "SELECT 1"}, Protocol::simple);
  EXPECT_EQ(out, message('Q', "SELECT -17, 'r1x9';\0"s));
}

TEST(Wire, AnExtendedOneIsFiveMessages) {
  const std::array<std::string, 1> values{"42"};
  std::string out;
  add_statement(out, {"SELECT $1;", values, "SELECT 1"}, Protocol::extended);
  EXPECT_EQ(out, message('P', "\0SELECT $1;\0\0\0"s) + message('B', "\0\0\0\0\0\1\0\0\0\2"s + "42" + "\0\0"s) +
                     message('D', "P\0"s) + message('E', "\0\0\0\0\0"s) + message('S', ""));
}

TEST(Wire, TheStartupNamesUserAndDatabase) {
  std::string out;
  add_startup(out, "u", "d");
  EXPECT_EQ(out, "\0\0\0\x1b\0\3\0\0user\0u\0database\0d\0\0"s);
}

TEST(Wire, MessagesAreCutHoweverTheyCome) {
  const auto bytes = message('C', "COMMIT\0"s) + message('Z', "I");
  for (std::size_t cut = 1; cut < bytes.size(); ++cut) {
    Reader reader;
    std::string seen;
    for (const auto part : {std::string_view(bytes).substr(0, cut), std::string_view(bytes).substr(cut)}) {
      reader.feed(part);
      while (const auto one = reader.next()) seen += one->type;
    }
    EXPECT_EQ(seen, "CZ");
    EXPECT_FALSE(reader.broken());
  }
}

TEST(Wire, ALengthThatNoMessageHasBreaksTheReader) {
  for (const auto& bytes : {"Z\0\0\0\3"s, "Z\x7f\0\0\0"s}) {
    Reader reader;
    reader.feed(bytes);
    EXPECT_FALSE(reader.next());
    EXPECT_TRUE(reader.broken());
  }
}

TEST(Wire, FieldsOfAnErrorAndOfNone) {
  const auto body = "SFATAL\0C57P01\0Mgoing away\0\0"s;
  EXPECT_EQ(error_field(body, 'C'), "57P01");
  EXPECT_EQ(error_field(body, 'D'), "");
  EXPECT_EQ(error_field("C57", 'C'), "");
  EXPECT_EQ(tag_of("UPDATE 1\0"s), "UPDATE 1");
  EXPECT_EQ(authentication_code("\0\0\0\12"s), 10);
  EXPECT_EQ(authentication_code(""), -1);
}

TEST(Script, TpcbWritesItsIdInTheTransactionThatItNames) {
  const Script script(Kind::tpcb, 2);
  std::mt19937_64 chance(1);
  const auto draw = script.draw(chance, "r0x1");
  std::string all;
  for (std::size_t step = 0; step < script.length(); ++step) {
    std::string one;
    const auto tag = script.add(one, step, draw, Protocol::simple);
    if (step == 0) EXPECT_EQ(tag, "BEGIN");
    if (step == script.commit_step()) EXPECT_EQ(tag, "COMMIT");
    EXPECT_EQ(one.find("'r0x1'") != std::string::npos, step == 5) << step;
    all += one;
  }
  EXPECT_EQ(all.find('$'), std::string::npos);
}

TEST(Script, DrawsLieWithinTheScaleAndRepeatWithTheirSeed) {
  const Script script(Kind::tpcb, 3);
  std::mt19937_64 chance(7);
  std::mt19937_64 again(7);
  for (int i = 0; i < 1000; ++i) {
    const auto draw = script.draw(chance, "t1");
    EXPECT_EQ(draw.aid, script.draw(again, "t1").aid);
    const auto within = [](const std::string& text, long low, long high) {
      const auto value = std::stol(text);
      return low <= value && value <= high;
    };
    EXPECT_TRUE(within(draw.aid, 1, 300'000) && within(draw.bid, 1, 3) && within(draw.tid, 1, 30) &&
                within(draw.delta, -5000, 5000));
  }
}

TEST(Script, SelectOnlyCommitsNothing) {
  const Script script(Kind::select_only, 1);
  EXPECT_FALSE(script.writes());
  EXPECT_GE(script.commit_step(), script.length());
}

}  // namespace
}  // namespace foreshadow::bench::pg
