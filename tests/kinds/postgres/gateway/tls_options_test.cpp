// The options of TLS, each mistake with its mend; and what SCRAM is told of channel binding.
#include "kinds/postgres/gateway/tls_options.hpp"

#include <gtest/gtest.h>

#include "kinds/postgres/gateway/binding.hpp"
#include "support/certificates.hpp"
#include "support/temp_dir.hpp"

namespace foreshadow::kinds::pg_gateway {
namespace {

std::string refusal(const std::map<std::string, std::string>& options) {
  const auto read = tls_options(options);
  return read ? "accepted" : read.error().what;
}

TEST(PgTlsOptions, are_off_where_nothing_is_said) {
  const auto read = tls_options({{"database", "shop"}});
  ASSERT_TRUE(read);
  EXPECT_EQ(read->upstream, UpstreamTls::off);
  EXPECT_FALSE(read->clients);
  EXPECT_EQ(*client_tls(*read, {}), ClientTls::off);
  EXPECT_EQ(*client_tls(*read, {.certificates = {{"a", "b"}}}), ClientTls::require)
      << "who gives a certificate wants it used";
}

TEST(PgTlsOptions, say_how_far_a_server_is_checked) {
  for (const auto& [word, verify] : {std::pair("prefer", false), std::pair("require", false),
                                     std::pair("verify_ca", true), std::pair("verify_full", true)}) {
    const auto read = tls_options({{"upstream_tls", word}});
    ASSERT_TRUE(read);
    EXPECT_EQ(read->client.verify, verify) << word;
  }
}

TEST(PgTlsOptions, tell_the_mend) {
  EXPECT_EQ(refusal({{"client_tls", "verify-full"}}),
            "option client_tls: 'verify-full' must be one of off, allow, require, verify_ca, verify_full");
  EXPECT_EQ(refusal({{"upstream_tls", "on"}}),
            "option upstream_tls: 'on' must be one of off, prefer, require, verify_ca, verify_full");
  EXPECT_EQ(refusal({{"upstream_ca_file", "/ca"}}),
            "option upstream_ca_file: there is no TLS to use it for; add upstream_tls: verify_full");
  EXPECT_EQ(refusal({{"upstream_tls", "require"}, {"upstream_ca_file", "/ca"}}),
            "option upstream_ca_file: upstream_tls: require asks no authority; write verify_full instead");
  EXPECT_EQ(refusal({{"upstream_tls", "verify_full"}, {"upstream_key_file", "/k"}}),
            "option upstream_key_file: the certificate and its key belong together; add upstream_certificate_file");
  EXPECT_EQ(refusal({{"upstream_tls", "verify_full"}, {"upstream_server_name", ""}}),
            "option upstream_server_name: must not be empty; remove it");
  const auto with = [](const char* mode, const io::TlsServerSettings& listener) {
    const auto read = client_tls(*tls_options({{"client_tls", mode}}), listener);
    return read ? "accepted" : read.error().what;
  };
  io::TlsServerSettings listener{.certificates = {{"a", "b"}}};
  EXPECT_EQ(with("allow", {}), "option client_tls: there is no certificate to show; add listener.tls");
  EXPECT_EQ(with("off", listener),
            "option client_tls: off, and listener.tls has certificates for it; remove one of them");
  EXPECT_EQ(with("verify_ca", listener),
            "option client_tls: clients' certificates are to be verified; add client_certificates: require and "
            "client_ca_file to listener.tls");
  listener.client_certificates = io::ClientCertificates::require;
  EXPECT_EQ(with("verify_full", listener), "accepted");
  EXPECT_EQ(with("allow", listener), "accepted");
}

TEST(PgTlsOptions, files_are_looked_at_when_asked_for) {
  const foreshadow::testing::TempDir dir;
  const foreshadow::testing::Authority authority;
  const auto issued = authority.issue({"alice"});
  foreshadow::testing::write(dir / "ca.pem", authority.pem());
  foreshadow::testing::write(dir / "a.pem", issued.certificate);
  foreshadow::testing::write(dir / "a.key", issued.key);
  foreshadow::testing::write(dir / "b.key", authority.issue({"bob"}).key);
  const auto check = [&](const std::string& ca, const std::string& key) {
    const auto checked = check_tls_files(*tls_options({{"upstream_tls", "verify_full"},
                                                       {"upstream_ca_file", dir / ca},
                                                       {"upstream_certificate_file", dir / "a.pem"},
                                                       {"upstream_key_file", dir / key}}));
    return checked ? "good" : checked.error().what;
  };
  EXPECT_EQ(check("ca.pem", "a.key"), "good");
  EXPECT_TRUE(check("none.pem", "a.key").starts_with("option upstream_ca_file: ")) << check("none.pem", "a.key");
  EXPECT_TRUE(check("ca.pem", "b.key").starts_with("option upstream_key_file: ")) << check("ca.pem", "b.key");
}

TEST(PgBinding, no_mechanism_that_is_bound_is_offered) {
  using std::string_literals::operator""s;
  EXPECT_EQ(unbound_mechanisms("SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0"s), "SCRAM-SHA-256\0\0"s);
  EXPECT_EQ(unbound_mechanisms("SCRAM-SHA-256\0\0"s), "SCRAM-SHA-256\0\0"s);
  EXPECT_EQ(unbound_mechanisms("SCRAM-SHA-256-PLUS\0\0"s), "\0"s);
  EXPECT_EQ(unbound_mechanisms("cut"), "\0"s);
  EXPECT_EQ(unbound_mechanisms(""), "\0"s);
}

TEST(PgBinding, a_client_that_misses_it_is_known) {
  using std::string_literals::operator""s;
  EXPECT_TRUE(misses_binding("SCRAM-SHA-256\0\0\0\0\x0dy,,n=,r=abc"s));
  EXPECT_FALSE(misses_binding("SCRAM-SHA-256\0\0\0\0\x0dn,,n=,r=abc"s));
  EXPECT_FALSE(misses_binding("OAUTHBEARER\0\0\0\0\x0dy,,"s));
  EXPECT_FALSE(misses_binding("SCRAM-SHA-256\0\0\0\0\0"s));
  EXPECT_FALSE(misses_binding("SCRAM-SHA-256"));
  EXPECT_FALSE(misses_binding(""));
}

}  // namespace
}  // namespace foreshadow::kinds::pg_gateway
