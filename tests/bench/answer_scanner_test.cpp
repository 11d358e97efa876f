#include "gateway/answer_scanner.hpp"

#include <gtest/gtest.h>

namespace foreshadow::bench {
namespace {

using Found = AnswerScanner::Found;
constexpr std::string_view kHead = "HTTP/1.1 200 OK\r\nServer: x\r\ncontent-LENGTH: 5\r\n\r\n";

TEST(AnswerScanner, finds_the_end_however_the_bytes_are_cut) {
  const std::string whole = std::string(kHead) + "12345";
  for (std::size_t cut = 1; cut < whole.size(); ++cut) {
    AnswerScanner scanner;
    EXPECT_EQ(scanner.feed(std::string_view(whole).substr(0, cut)), Found::more) << cut;
    EXPECT_EQ(scanner.feed(std::string_view(whole).substr(cut)), Found::complete) << cut;
    EXPECT_EQ(scanner.status(), 200);
  }
}

TEST(AnswerScanner, an_empty_body_ends_with_its_head) {
  AnswerScanner scanner;
  EXPECT_EQ(scanner.feed("HTTP/1.1 503 Unavailable\r\nContent-Length: 0\r\n\r\n"), Found::complete);
  EXPECT_EQ(scanner.status(), 503);
}

TEST(AnswerScanner, is_used_again_after_a_reset) {
  AnswerScanner scanner;
  EXPECT_EQ(scanner.feed(std::string(kHead) + "12345"), Found::complete);
  scanner.reset();
  EXPECT_EQ(scanner.feed(kHead), Found::more);
  EXPECT_EQ(scanner.feed("12345"), Found::complete);
}

TEST(AnswerScanner, hears_that_the_connection_ends) {
  for (const auto& [field, closes] : {std::pair{"Connection: close", true},
                                      {"connection:close", true},
                                      {"Connection: keep-alive", false},
                                      {"Connexion: close", false},
                                      {"X-Connection: close", false}}) {
    AnswerScanner scanner;
    EXPECT_EQ(scanner.feed(std::string("HTTP/1.1 200 OK\r\n") + field + "\r\nContent-Length: 0\r\n\r\n"),
              Found::complete);
    EXPECT_EQ(scanner.closes(), closes) << field;
    scanner.reset();
    EXPECT_FALSE(scanner.closes());
  }
}

TEST(AnswerScanner, guesses_nothing) {
  for (const auto* bytes : {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n12", "HTTP/1.1 200 OK\r\n\r\n",
                            "SSH-2.0-x\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                            "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"}) {
    AnswerScanner scanner;
    EXPECT_EQ(scanner.feed(bytes), Found::malformed) << bytes;
  }
}

}  // namespace
}  // namespace foreshadow::bench
