#include "kinds/postgres/gateway/scram.hpp"

#include <gtest/gtest.h>

#include "kinds/postgres/gateway/credentials.hpp"

namespace foreshadow::kinds::pg_gateway {
namespace {

constexpr const char* server_first =
    "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";

// The example of RFC 7677, section 3, except that PostgreSQL's clients leave the user name empty: so the proof differs
// from the printed one, and was computed with an independent implementation.
TEST(Scram, exchange_of_rfc_7677) {
  ScramClient c("pencil", "rOprNGfwEbeRWgbNEkqO");
  EXPECT_EQ(c.first(), "n,,n=,r=rOprNGfwEbeRWgbNEkqO");
  const auto final = c.final(server_first);
  ASSERT_TRUE(final);
  EXPECT_EQ(
      *final,
      "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=qvT2SWdEH5Q06albL+hjSYuUhCG7VndFyzIb7CK4n9k=");
  EXPECT_TRUE(c.verify("v=3HO6Qt1M4MKJrmlKaoOqLAI0/0TV0HZe7J9H3MBtSOg="));
  EXPECT_FALSE(c.verify("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="));
  EXPECT_FALSE(c.verify("e=other-error"));
}

TEST(Scram, a_server_that_is_not_what_it_says_is_refused) {
  ScramClient c("pencil", "abc");
  for (const char* bad :
       {"", "r=", "r=abc,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096", "r=xyz1,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
        "r=abcd,s=!!!!,i=4096", "r=abcd,s=,i=4096", "r=abcd,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=0",
        "r=abcd,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=-1", "r=abcd,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=99999999999",
        "r=abcd,s=W22ZaJ0SNY7soEsUEjb6gQ==", "s=W22ZaJ0SNY7soEsUEjb6gQ==,r=abcd,i=1", "m=ext,r=abcd"})
    EXPECT_FALSE(c.final(bad)) << bad;
  EXPECT_FALSE(c.verify("v=")) << "nothing proven yet";
}

TEST(Scram, md5_answer_as_the_server_computes_it) {
  EXPECT_EQ(md5_answer("user", "secret", std::string_view("\x01\x02\x03\x04", 4)),
            "md5fccef98e4f1cf6cbe96b743fad4e8bd0");
}

TEST(Credentials, pgpass_lines) {
  const Endpoint tcp{"db1", 5432}, local{"/run/pg", 5433};
  constexpr const char* file =
      "# comment\n\nbroken line\ndb1:5432:shop:ann:first\r\n*:*:*:ann:any\\:thing\\\\else\nlocalhost:5433:*:bob:local\n"
      "/run/pg:*:*:eve:by:dir";
  EXPECT_EQ(find_password(file, tcp, "shop", "ann"), "first");
  EXPECT_EQ(find_password(file, tcp, "other", "ann"), "any:thing\\else");
  EXPECT_EQ(find_password(file, local, "x", "bob"), "local");
  EXPECT_EQ(find_password(file, tcp, "x", "bob"), std::nullopt);
  EXPECT_EQ(find_password(file, local, "x", "eve"), "by:dir");
  EXPECT_EQ(find_password("", tcp, "x", "y"), std::nullopt);
}

TEST(Credentials, a_missing_or_open_file_is_no_password) {
  EXPECT_EQ(Credentials("").password({"a", 1}, "d", "u").error().what, "server asks for a password: set password_file");
  EXPECT_EQ(Credentials("/nonexistent/pass").password({"a", 1}, "d", "u").error().code, Code::io);
}

}  // namespace
}  // namespace foreshadow::kinds::pg_gateway
